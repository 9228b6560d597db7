"""`swarm-dht`: check port and key, serve the API, keep p2pd in the swarm. A bootnode is the same program."""

from __future__ import annotations

from swarm_core.log import get_logger
from swarm_core.runner import Service, run
from swarm_core.uds import serve_unix
from swarm_dht.key_file import load_or_create, lock_key, socket_directory, take_incoming, watch_incoming
from swarm_dht.port import wait_free
from swarm_dht.settings import DhtSettings

_PORT_SECONDS = 3.0
log = get_logger("daemon")


async def start(service: Service, settings: DhtSettings) -> None:
    """Set up in the order in which things can be wrong: lock, port, key, socket, libp2p."""
    lock = lock_key(settings.key_dir)

    async def unlock() -> None:
        lock.close()

    service.on_close("key lock", unlock)
    await wait_free(settings.hosts(), settings.p2p_port, _PORT_SECONDS)
    take_incoming(settings.key_dir)
    key = load_or_create(settings.key_dir)
    sockets = socket_directory(settings.key_dir)

    from swarm_dht import libp2p  # heavy: after everything that an operator can get wrong
    from swarm_dht.api import make_app
    from swarm_dht.daemon import build

    libp2p.quiet_logs()
    libp2p.use_socket_directory(sockets)
    daemon = build(settings, key)
    serve_unix(service, make_app(daemon), settings.run_dir / "dht.sock")
    daemon.start(service)
    service.spawn("restored key", watch_incoming(service, settings.key_dir))
    log.info("daemon up", peer=key.peer_id, port=settings.p2p_port, bootnodes=len(daemon.bootnodes))


def main() -> None:
    """Console script."""
    run("swarm-dht", DhtSettings, start)


if __name__ == "__main__":
    main()

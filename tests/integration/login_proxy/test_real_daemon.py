"""With the real `swarm-dht`: the daemon consents, its peer is registered, the page's sources answer, a restart of the
daemon is nothing."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.daemons import Daemon
from tests.support.login_service import Login, wait_until


def test_the_real_daemon_consents_and_its_peer_is_registered(make_login: Callable[..., Login]) -> None:
    login = make_login(mode="auto")
    daemon = Daemon(login.directory).start()  # its run directory is the one that the login service looks at
    try:
        daemon.up()
        login.start()
        peer_id = daemon.status()["peer_id"]
        status = wait_until(lambda: (s := login.status()).state == "registered" and s, 30)
        assert [(peer.peer_id, peer.node) for peer in status.peers] == [(peer_id, "main")]
        body = {"orgId": "local", "peerId": peer_id, "roundNumber": 0, "stageNumber": 0, "reward": 4}
        daemon.kill()
        with login.api() as api:
            assert api.post("submit-reward", json=body).status_code == 200, "the daemon may be away"
        with login.browser() as browser:
            wait_until(lambda: "Not answering" in browser.get("/").text, 10)
        daemon.start().up()
        with login.browser() as browser:
            wait_until(lambda: "Isolated" in browser.get("/").text, 30)
    finally:
        daemon.close()

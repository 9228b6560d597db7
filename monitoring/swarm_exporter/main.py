"""`swarm-exporter`: serves the metrics of every node on this host. Holds nothing and changes nothing.

Arrows: Prometheus → here → node.sock, dht.sock, login.sock, and the chain's RPC. No work is done between scrapes.
"""

from __future__ import annotations

from swarm_chain.client import ChainClient
from swarm_core.log import get_logger
from swarm_core.runner import Service, run
from swarm_core.uds import serve_tcp
from swarm_exporter.app import make_app
from swarm_exporter.chain_reader import ChainReader
from swarm_exporter.collectors.chain import ChainCollector
from swarm_exporter.collectors.dht import DhtCollector
from swarm_exporter.collectors.login import LoginCollector
from swarm_exporter.collectors.worker import WorkerCollector
from swarm_exporter.nodes import Nodes
from swarm_exporter.peers import OwnPeers
from swarm_exporter.scrape import Scraper
from swarm_exporter.settings import ExporterSettings
from swarm_exporter.source import Sockets

log = get_logger("exporter")


async def start(service: Service, settings: ExporterSettings) -> None:
    """Build the collectors and listen."""
    sockets = Sockets()
    chain = ChainClient(settings)
    reader = ChainReader(chain, settings.exporter_chain_seconds)
    nodes = Nodes(settings.run_dir, settings.node_name, settings.exporter_forget_seconds)
    peers = OwnPeers(settings.exporter_forget_seconds)
    stages = (
        (WorkerCollector(sockets, nodes, peers), DhtCollector(sockets, nodes, peers)),
        (LoginCollector(sockets, settings.login_run_dir, nodes, peers),),
        (ChainCollector(reader, settings.node_name, peers),),
    )
    scraper = Scraper(stages, settings.exporter_cache_seconds)
    service.on_close("sockets", sockets.close)
    service.on_close("chain client", chain.close)
    service.on_close("chain reader", reader.close)
    serve_tcp(
        service, make_app(scraper), settings.exporter_host, settings.exporter_port, variable="SWARM_EXPORTER_PORT"
    )
    log.info("listening", port=settings.exporter_port, run_dir=settings.run_dir)


def main() -> None:
    """Console script."""
    run("swarm-exporter", ExporterSettings, start)


if __name__ == "__main__":
    main()

"""Puts the host work together; None where no judge is configured."""

from __future__ import annotations

from collections.abc import Callable

from swarm_chain.client import ChainClient
from swarm_node.device import DeviceChoice
from swarm_node.exchange import Exchange
from swarm_node.judging.client import JudgeClient
from swarm_node.judging.courier import JudgeCourier
from swarm_node.judging.host_work import HostWork
from swarm_node.login_client import LoginClient
from swarm_node.market.book import MarketBook
from swarm_node.market.desk import MarketDesk
from swarm_node.market.player import Player
from swarm_node.round import Learner
from swarm_node.settings import NodeSettings


def make_host_work(
    settings: NodeSettings,
    learner: Learner,
    device: DeviceChoice,
    chain: ChainClient,
    exchange: Exchange,
    peer_id: Callable[[], str],
    plays: Callable[[], bool],
) -> HostWork | None:
    """`plays` tells before each bet whether the operator wants it."""
    if not settings.judge_url:
        return None
    client = JudgeClient(settings.judge_url, exchange)
    player = Player(MarketBook(settings.state_dir / "market.json"))
    login = LoginClient(settings.login_url, settings.api_token_file)
    desk = MarketDesk(player, client, chain, login, peer_id, plays)
    return HostWork(
        settings.judge_url,
        learner,
        device,
        client,
        JudgeCourier(client, chain),
        player,
        desk,
        normalised=settings.play_length_normalised == 1,
    )

"""Chain settings: what is accepted, and that every problem names its variable."""

from __future__ import annotations

import pytest

from swarm_chain.deploy import DeploySettings
from swarm_chain.keeper_settings import KeeperSettings
from swarm_chain.settings import ChainSettings
from swarm_core.errors import ConfigError
from swarm_core.settings import load


def test_the_defaults_are_the_local_chain() -> None:
    settings = load(ChainSettings)
    assert (settings.rpc_urls(), settings.chain_id, settings.coordinator) == (["http://chain:8545"], 53855, None)


def test_several_urls_and_an_address_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_RPC_URL", " http://a:1 , https://b/key,")
    monkeypatch.setenv("SWARM_COORDINATOR", "0x" + "AB" * 20)
    settings = load(ChainSettings)
    assert settings.rpc_urls() == ["http://a:1", "https://b/key"]
    assert settings.coordinator == "0x" + "ab" * 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWARM_RPC_URL", "chain:8545"),
        ("SWARM_RPC_URL", "ws://chain"),
        ("SWARM_RPC_URL", "http://"),
        ("SWARM_RPC_URL", "http://a:port"),
        ("SWARM_RPC_URL", " , "),
        ("SWARM_CHAIN_ID", "0"),
        ("SWARM_CHAIN_ID", "main"),
        ("SWARM_COORDINATOR", "0x12"),
        ("SWARM_COORDINATOR", "z" * 40),
        ("SWARM_ROUND_SECONDS", "abc"),
        ("SWARM_ROUND_SECONDS", "0"),
        ("SWARM_ROUND_SECONDS", "1.5"),
        ("SWARM_BOOTNODE_ADDRESS", "bootnode:38751"),
        ("SWARM_BOOTNODE_ADDRESS", "/dns4/bootnode/tcp/38751/p2p/QmPeer"),
    ],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        load(KeeperSettings)


@pytest.mark.parametrize("name", ["SWARM_REWARD_LIMIT", "SWARM_REPORT_WINDOW_ROUNDS"])
def test_limits_are_positive_numbers(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0")
    monkeypatch.setenv("SWARM_COORDINATOR", "0x" + "ab" * 20)  # nothing is written then
    with pytest.raises(ConfigError, match=name):
        load(DeploySettings)


def test_addresses_of_the_bootnode_are_a_list() -> None:
    settings = KeeperSettings(bootnode_address="/ip4/10.0.0.1/tcp/1, /ip4/10.0.0.1/udp/1/quic-v1/")
    assert settings.bootnode_addresses() == ["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/udp/1/quic-v1"]

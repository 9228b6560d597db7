"""Settings of the daemon: defaults of the architecture, addresses checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.errors import ConfigError
from swarm_core.settings import load
from swarm_dht.settings import DhtSettings, split


@pytest.fixture(autouse=True)
def _directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("SWARM_KEY_DIR", str(tmp_path / "key"))


def test_defaults() -> None:
    settings = load(DhtSettings)
    assert (str(settings.p2p_host), settings.p2p_port, settings.max_age_seconds) == ("0.0.0.0", 38751, 600.0)
    assert (settings.announce, settings.bootnodes) == ("", "")
    assert DhtSettings.model_fields["run_dir"].default == Path("/run/swarm")
    assert DhtSettings.model_fields["key_dir"].default == Path("/keys/peer")


def test_good_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_ANNOUNCE", "/ip4/203.0.113.7/tcp/38751, /dns4/example.org/tcp/38751")
    monkeypatch.setenv("SWARM_BOOTNODES", "/dns4/bootnode/tcp/38751/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
    settings = load(DhtSettings)
    assert split(settings.announce) == ["/ip4/203.0.113.7/tcp/38751", "/dns4/example.org/tcp/38751"]
    assert len(split(settings.bootnodes)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWARM_ANNOUNCE", "example.org:38751"),
        ("SWARM_ANNOUNCE", "/ip4/203.0.113.7/tcp/0"),
        ("SWARM_BOOTNODES", "/ip4/203.0.113.7/tcp/38751"),
        ("SWARM_P2P_PORT", "70000"),
        ("SWARM_P2P_HOST", "localhost"),
        ("SWARM_MAX_AGE_SECONDS", "0"),
    ],
)
def test_bad_values_name_their_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        load(DhtSettings)

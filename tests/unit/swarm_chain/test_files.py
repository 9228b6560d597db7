"""Deployment file and role keys: round trips, and damage is told instead of repaired."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_chain.deployment import Deployment, read_deployment, write_deployment
from swarm_chain.errors import NoDeployment
from swarm_chain.role_keys import ROLES, ensure_keys, key_path, load_key
from swarm_core.errors import ConfigError

DEPLOYMENT = Deployment(
    chain_id=5, genesis_hash="0xab", coordinator="0xcd", block=2, implementation="0xef", code_sha256="12"
)


def test_a_deployment_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    write_deployment(path, DEPLOYMENT)
    assert read_deployment(path) == DEPLOYMENT
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_missing_deployment_is_only_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(NoDeployment, match="swarm-deploy"):
        read_deployment(tmp_path / "deployment.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 2}', "null"])
def test_a_damaged_deployment_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(text)
    with pytest.raises((ConfigError, NoDeployment), match=r"deployment\.json"):
        read_deployment(path)


def test_keys_are_made_once(tmp_path: Path) -> None:
    assert ensure_keys(tmp_path) == list(ROLES)
    keys = [load_key(tmp_path, role) for role in ROLES]
    assert len(set(keys)) == len(ROLES)
    assert ensure_keys(tmp_path) == []
    assert [load_key(tmp_path, role) for role in ROLES] == keys
    key_path(tmp_path, "stage-manager").unlink()
    assert ensure_keys(tmp_path) == ["stage-manager"]
    assert load_key(tmp_path, "owner") == keys[0]


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"11" * 31, b"00" * 32, b"ff" * 32, b"\xff\xfe"])
def test_a_damaged_key_is_told_and_left(tmp_path: Path, content: bytes) -> None:
    path = key_path(tmp_path, "owner")
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        ensure_keys(tmp_path)
    assert path.read_bytes() == content

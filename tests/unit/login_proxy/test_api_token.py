"""The worker API's token: made once, readable by the group, kept; a damaged one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from login_proxy.api_token import ensure_token
from swarm_core.errors import FatalError


def test_the_token_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = ensure_token(path)
    assert len(token) >= 43
    assert path.stat().st_mode & 0o777 == 0o640
    assert ensure_token(path) == token


@pytest.mark.parametrize("damage", ["", "\n", "short"])
def test_a_damaged_token_is_refused_and_kept(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "token"
    path.write_text(damage)
    with pytest.raises(FatalError):
        ensure_token(path)
    assert path.read_text() == damage

"""Settings: the exact origins that browsers may use, and where things lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from login_proxy.settings import LoginSettings


def test_by_default_the_page_is_localhost() -> None:
    assert LoginSettings().origins() == ("http://localhost:3000",)


def test_another_published_port_and_a_public_origin() -> None:
    settings = LoginSettings(login_published_port=8300, public_url="https://Node.Example:3443/")
    assert settings.origins() == ("https://node.example:3443", "http://localhost:8300", "http://localhost:3000")
    assert LoginSettings(login_published_port=80, http_port=80).origins() == ("http://localhost",)


@pytest.mark.parametrize("url", ["node.example", "ftp://node.example", "https://", "https://node.example/path", "x"])
def test_a_public_url_is_an_origin(url: str) -> None:
    with pytest.raises(ValidationError, match="must be an origin"):
        LoginSettings(public_url=url)


def test_what_must_be_writable() -> None:
    settings = LoginSettings(keys_dir=Path("/k"), state_dir=Path("/s"), login_run_dir=Path("/r"))
    assert list(settings.writable_directories()) == [
        Path("/k/account"), Path("/s"), Path("/r"), Path("/run/api-token"),
    ]  # fmt: skip

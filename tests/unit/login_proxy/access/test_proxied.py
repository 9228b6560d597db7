"""X-Forwarded-For is believed from the one trusted proxy only, and only its last entry."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from login_proxy.access.proxied import TrustedProxy


@pytest.mark.parametrize(
    ("client", "told", "seen"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("10.9.9.9", "203.0.113.9", "10.9.9.9"),
    ],
)
async def test_who_is_believed(client: str, told: str, seen: str) -> None:
    scope = {"type": "http", "client": (client, 5)}
    await TrustedProxy("127.0.0.1").rewrite(scope, Headers({"x-forwarded-for": told}))
    assert scope["client"][0] == seen


async def test_a_proxy_that_is_not_there_is_nobody() -> None:
    scope = {"type": "http", "client": ("127.0.0.1", 5)}
    await TrustedProxy("no-such-host.invalid").rewrite(scope, Headers({"x-forwarded-for": "203.0.113.9"}))
    assert scope["client"] == ("127.0.0.1", 5)

"""What works under which origin, as measured in browsers (findings, 1.1), and that the reason is said."""

from __future__ import annotations

import pytest

from login_proxy.access.offer import offer


@pytest.mark.parametrize(
    ("origin", "self_signed", "passkey", "word"),
    [
        ("http://localhost:3000", False, True, ""),
        ("https://localhost:3443", True, True, ""),
        ("http://127.0.0.1:3000", False, False, "IP address"),
        ("https://203.0.113.7:3443", True, False, "IP address"),
        ("https://203.0.113.7", False, False, "IP address"),
        ("https://[2001:db8::1]:3443", True, False, "IP address"),
        ("http://node.example", False, False, "https"),
        ("https://node.example", True, False, "self-signed"),
        ("https://node.example", False, True, ""),
    ],
)
def test_the_origin_decides(origin: str, self_signed: bool, passkey: bool, word: str) -> None:
    here = offer(origin, self_signed=self_signed)
    assert here.passkey is passkey
    assert word in here.passkey_reason
    assert bool(here.passkey_reason) is not passkey

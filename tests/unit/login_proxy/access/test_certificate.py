"""The own TLS certificate: made once, kept, private, and damage is told instead of replaced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509

from login_proxy.access.certificate import ensure_certificate
from swarm_core.errors import FatalError


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path / "tls", "203.0.113.7")
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", made.fingerprint)
    assert ensure_certificate(tmp_path / "tls", "another.example") == made
    for path in (made.chain, made.key):
        assert path.stat().st_mode & 0o777 == 0o600
    names = x509.load_pem_x509_certificate(made.chain.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(a) for a in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "203.0.113.7"]


def test_damage_is_told(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path / "tls", "node.example")
    other = ensure_certificate(tmp_path / "other", None)
    made.key.write_bytes(other.key.read_bytes())
    with pytest.raises(FatalError, match="do not belong together"):
        ensure_certificate(tmp_path / "tls", None)
    made.key.write_text("damaged")
    with pytest.raises(FatalError, match="cannot be used"):
        ensure_certificate(tmp_path / "tls", None)
    made.key.unlink()
    with pytest.raises(FatalError, match="cannot be used"):
        ensure_certificate(tmp_path / "tls", None)

"""The TLS certificate of access mode `https`: made at the first start, then kept, so that its fingerprint stays true.

Self-signed. Trust is only as good as the comparison of the fingerprint, which stands in the log and on the page.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarm_core.errors import FatalError
from swarm_core.files import write_atomic

_VALID_DAYS = 3650
_REMEDY = "restore the file, or delete both to have a new certificate made (its fingerprint will be another one)"


@dataclass(frozen=True)
class Certificate:
    """Files of certificate and key, and the SHA-256 of the certificate as browsers show it."""

    chain: Path
    key: Path
    fingerprint: str


def ensure_certificate(directory: Path, name: str | None) -> Certificate:
    """The certificate in `directory`, made for localhost and `name` if there is none. Raises FatalError."""
    chain, key = directory / "certificate.pem", directory / "key.pem"
    try:
        if not chain.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(chain, key, name)
        certificate = x509.load_pem_x509_certificate(chain.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise FatalError(f"The TLS certificate in {directory} cannot be used ({error}).", _REMEDY) from error
    if private.public_key() != certificate.public_key():
        raise FatalError(f"Key and certificate in {directory} do not belong together.", _REMEDY)
    digest = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return Certificate(chain, key, ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)))


def _make(chain: Path, key: Path, name: str | None) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RL Swarm node")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # a browser's clock may be behind
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_names(name)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    write_atomic(key, pem, 0o600)  # first: a certificate without its key would be damage
    write_atomic(chain, certificate.public_bytes(serialization.Encoding.PEM), 0o600)


def _names(name: str | None) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    if name and name != "localhost":
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    return names

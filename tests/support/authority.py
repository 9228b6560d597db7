"""A certificate authority of a test, and a certificate for one name."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """Files: the authority's certificate, and certificate and key of the name."""

    ca: Path
    certificate: Path
    key: Path


def make_authority(directory: Path, name: str) -> Authority:
    """Make both in `directory`, readable by everybody: a container of another uid serves them."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RL Swarm test CA")])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = _builder(ca_name, ca_name, ca_key).add_extension(x509.BasicConstraints(True, None), True)
    ca_certificate = ca.add_extension(usage, True).sign(ca_key, hashes.SHA256())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    leaf = _builder(subject, ca_name, key).add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    certificate = leaf.sign(ca_key, hashes.SHA256())
    made = Authority(directory / "ca.pem", directory / "certificate.pem", directory / "key.pem")
    made.ca.write_bytes(ca_certificate.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    for path in (made.ca, made.certificate, made.key):
        path.chmod(0o644)
    return made


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )

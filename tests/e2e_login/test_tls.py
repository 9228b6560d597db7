"""Access mode https: from another network namespace, by IP address, with a certificate that is made once and kept."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.e2e_login.steps import PASSWORD
from tests.support.login_service import Daemon, Login, wait_until
from tests.support.ports import free_port

from login_proxy.backup.bundle import unseal
from swarm_core.identity import parse_key

ROOT = Path(__file__).resolve().parents[2]


def fingerprint_of(port: int) -> str:
    """SHA-256 of the certificate that is really served, as browsers show it."""
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=10))
    digest = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, 64, 2))


def host_address() -> str:
    """This machine's address as a container of Docker's default network sees it."""
    told = subprocess.run(["docker", "network", "inspect", "bridge"], check=True, capture_output=True, timeout=30)
    subnet = ipaddress.ip_network(json.loads(told.stdout)[0]["IPAM"]["Config"][0]["Subnet"])
    return str(subnet[1])  # the bridge has the first address


def test_claim_and_backup_over_tls_from_another_network_namespace(
    make_login: Callable[..., Login], peer_pem: bytes, tools_image: str, tmp_path: Path
) -> None:
    port, address = free_port(), host_address()
    login = make_login(environment={"SWARM_ACCESS": "https", "SWARM_HTTPS_PORT": str(port)})
    daemon = Daemon(login.directory / "run/dht.sock", parse_key(peer_pem))
    (login.directory / "keys/peer").mkdir()
    (login.directory / "keys/peer/swarm.pem").write_bytes(peer_pem)
    login.start()
    shown = fingerprint_of(port)
    assert f"certificate_sha256={shown}" in login.log.replace('"', "")
    out = tmp_path / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    command = [
        "docker", "run", "--rm", "--init", "--label", "rlswarm-test=e2e-login", "--volume", f"{ROOT}:/repo:ro",
        "--volume", f"{out}:/out", tools_image, "python", "/repo/tests/tools/claim_tls.py", f"https://{address}:{port}",
        login.setup_token(), PASSWORD, shown, "/out",
    ]  # fmt: skip
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=170)
    assert ran.returncode == 0, ran.stderr[-3000:]
    status = wait_until(lambda: (s := login.status()).claimed and s, 10)
    identity = unseal((out / "backup.txt").read_text(), "a passphrase for the test")
    assert identity.peer_key == peer_pem
    assert status.account

    assert login.stop() == 0
    login.start()
    assert fingerprint_of(port) == shown, "the certificate is kept"
    with httpx.Client(verify=False, base_url=f"https://{address}:{port}") as anybody:  # noqa: S501 - self-signed
        assert anybody.get("/").headers["location"] == "/login"
        for host in ("evil.example", f"evil.example:{port}", f"{address}.evil.example:{port}"):
            assert anybody.get("/login", headers={"host": host}).status_code == 421, host
        foreign = {"origin": f"https://203.0.113.7:{port}"}
        assert anybody.post("/login", data={"password": PASSWORD}, headers=foreign).status_code == 403
        own = {"origin": f"https://{address}:{port}"}
        cookie = anybody.post("/login", data={"password": PASSWORD}, headers=own).headers["set-cookie"]
        assert re.match(r"__Host-swarm_session=[\w-]{43}; HttpOnly; .*Secure", cookie), cookie
    daemon.close()

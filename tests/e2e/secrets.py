"""Looks through everything that a stack produced for its secrets: logs, inspect output, metrics, process arguments.

Works with `stack` and `tests.support.secret_scan`. The setup token is no secret after the claim and stands in the log
on purpose; everything else in `FILES`, and the account's key, must not be found anywhere.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import httpx
from tests.e2e.stack import Failed, Stack
from tests.support.secret_scan import Finding, scan

# service -> files and folders in its container that hold secrets
FILES = {
    "login-proxy": ("/state/unlock.secret", "/state/tls", "/run/api-token/token", "/keys/peer/swarm.pem"),
    "peer": ("/peer-keys",),
    "bootnode": ("/keys/peer/swarm.pem",),
    "round-keeper": ("/role-keys",),
    "judge": ("/judge-keys",),
}
_READ = """
import base64, json, pathlib, sys
found = {}
for name in sys.argv[1:]:
    path = pathlib.Path(name)
    for file in [path] if path.is_file() else path.rglob("*"):
        try:
            if file.is_file() and file.stat().st_size >= 12 and file.suffix != ".lock":
                found[str(file)] = base64.b64encode(file.read_bytes()).decode()
        except OSError:
            pass
print(json.dumps(found))
"""
_ACCOUNT = """
import json, pathlib
from eth_account import Account
keystore = json.loads(pathlib.Path("/keys/account/keystore.json").read_text())
print(Account.decrypt(keystore, pathlib.Path("/state/unlock.secret").read_text().strip()).hex())
"""
_PUBLIC = (".crt", "certificate.pem", "fullchain.pem", "chain.pem")  # of a TLS certificate, which is told to everybody


def secrets_of(stack: Stack) -> dict[str, bytes]:
    """Every secret value that the stack made, read from its volumes."""
    secrets: dict[str, bytes] = {}
    running = set(stack.services())
    for service, names in FILES.items():
        if service not in running:
            continue
        for path, text in json.loads(stack.run_in(service, _READ, *names)).items():
            if not path.endswith(_PUBLIC):
                secrets[f"{service}:{path}"] = base64.b64decode(text)
    answer = stack.container("login-proxy").exec_run(["python3", "-c", _ACCOUNT], demux=True)
    if answer.exit_code != 0:
        raise Failed(f"the account cannot be read: {answer.output}")
    secrets["account key"] = bytes.fromhex(answer.output[0].decode().strip().removeprefix("0x"))
    return secrets


def sources_of(stack: Stack) -> dict[str, bytes]:
    """Everything the stack shows: logs and inspect output of all containers, processes, metrics, Compose's own view."""
    sources = {"compose config": stack.compose("config").encode(), "compose ps": stack.compose("ps", "--all").encode()}
    label = f"com.docker.compose.project={stack.project}"
    for container in stack.docker.containers.list(all=True, filters={"label": label}):
        sources[f"log of {container.name}"] = container.logs()
        sources[f"inspect of {container.name}"] = json.dumps(container.attrs).encode()
        if container.status == "running":
            top = container.top(ps_args="-eo pid,args")
            sources[f"processes of {container.name}"] = json.dumps(top["Processes"]).encode()
    metrics = httpx.get(f"http://127.0.0.1:{stack.metrics_port}/metrics", timeout=10, trust_env=False)
    sources["metrics"] = metrics.content
    for what in ("node", "dht", "login-proxy"):
        sources[f"status of {what}"] = json.dumps(stack.get(what)).encode()
    return sources


def find_secrets(stack: Stack, more: Mapping[str, bytes] | None = None) -> list[Finding]:
    """Where secrets of the stack, or those in `more` (passwords that a test used), stand; should be empty."""
    return scan(sources_of(stack), secrets_of(stack) | dict(more or {}))

"""A process that has eth-account's libraries in it survives a body of nested brackets, whatever it serves."""

from __future__ import annotations

import subprocess
import sys

_SERVE = """
import asyncio, json, sys
import eth_account.typed_transactions, py_ecc  # raises the recursion limit
from pathlib import Path
from swarm_core.runner import Service
from swarm_core.uds import serve_unix
async def app(scope, receive, send): ...
async def main():
    service = Service("test")
    serve_unix(service, app, Path(sys.argv[1]))
    try:
        json.loads("[" * 100_000)
    except RecursionError:
        print("alive")
asyncio.run(main())
"""


def test_nested_json_does_not_end_a_serving_process(tmp_path: object) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _SERVE, f"{tmp_path}/run/x.sock"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "alive" in ended.stdout, (ended.returncode, ended.stderr[-500:])

"""Console script `login-proxy`."""

from __future__ import annotations

import argparse
from typing import NoReturn

from login_proxy.app import serve
from login_proxy.settings import LoginSettings
from swarm_core.runner import run


def main() -> NoReturn:
    """Run the login service."""
    parser = argparse.ArgumentParser(prog="login-proxy", description="Login page, wallet and outbox of a node.")
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve", help="what to do (default: serve)")
    parser.parse_args()
    run("login-proxy", LoginSettings, serve)


if __name__ == "__main__":
    main()

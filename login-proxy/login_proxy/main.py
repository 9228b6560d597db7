"""Console script `login-proxy`."""

from __future__ import annotations

import argparse
from typing import NoReturn

from login_proxy.settings import LoginSettings
from swarm_core.runner import CHECK_FLAG, Service, run


async def start(service: Service, settings: LoginSettings) -> None:
    """Set up the service; its parts are imported once the settings are known to be good."""
    from login_proxy.app import serve

    await serve(service, settings)


def main() -> NoReturn:
    """Run the login service."""
    parser = argparse.ArgumentParser(prog="login-proxy", description="Login page, wallet and outbox of a node.")
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve", help="what to do (default: serve)")
    parser.add_argument(CHECK_FLAG, action="store_true", help="parse the settings and stop")
    parser.parse_args()
    run("login-proxy", LoginSettings, start, parsed=True)


if __name__ == "__main__":
    main()

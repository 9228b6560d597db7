"""Console script `login-proxy`."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from login_proxy.settings import LoginSettings
from swarm_core.runner import CHECK_FLAG, Service, run


async def start(service: Service, settings: LoginSettings) -> None:
    """Set up the service; its parts are imported once the settings are known to be good."""
    from login_proxy.app import serve

    await serve(service, settings)


def main() -> NoReturn:
    """Run the login service, or one of its commands."""
    parser = argparse.ArgumentParser(prog="login-proxy", description="Login page, wallet and outbox of a node.")
    parser.add_argument(
        "command", nargs="?", choices=["serve", "reset-owner"], default="serve",
        help="serve (default), or reset-owner: forget who owns the node, so that it can be claimed again",
    )  # fmt: skip
    parser.add_argument(CHECK_FLAG, action="store_true", help="parse the settings and stop")
    if parser.parse_args().command == "reset-owner":
        from login_proxy.reset_owner import reset_owner

        sys.exit(reset_owner())
    run("login-proxy", LoginSettings, start, parsed=True)


if __name__ == "__main__":
    main()

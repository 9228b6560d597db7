"""`login-proxy reset-owner`: the only way back in when every way to sign in is lost.

Run inside the container, next to the service, which notices within seconds and shows a new setup token. Account, keys
and outbox stay: only owner, methods and sessions are forgotten.
"""

from __future__ import annotations

import sys
import time

from login_proxy.access.audit import Audit
from login_proxy.access.store import AccessStore
from login_proxy.settings import LoginSettings
from swarm_core.errors import FatalError
from swarm_core.settings import load

_TOKEN_SECONDS = 15.0


def reset_owner() -> int:
    """Forget the owner; prints what happened and the new setup token. Returns the exit code."""
    try:
        settings = load(LoginSettings, probe=False)
        token_file = settings.state_dir / "setup-token"
        path = settings.state_dir / "access.sqlite"
        if not path.exists():
            print("Nobody owns this node: there is nothing to reset.")
            return 0
        store = AccessStore(path)
    except FatalError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    try:
        if not store.reset():
            print("Nobody owns this node: there is nothing to reset.")
            return 0
        Audit(store).add("owner_reset")
    finally:
        store.close()
    print("The owner is forgotten and every session has ended. Account, keys and rewards are as they were.")
    deadline = time.monotonic() + _TOKEN_SECONDS
    while not token_file.exists() and time.monotonic() < deadline:
        time.sleep(0.2)  # a poll with a deadline: the running service makes the token
    if token_file.exists():
        print(f"Claim the node again with this setup token: {token_file.read_text().strip()}")
    else:
        print("Start the login service: its log shows the new setup token.")
    return 0

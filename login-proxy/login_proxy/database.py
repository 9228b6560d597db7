"""The login service's SQLite files (`swarm_core.database`). Works with `outbox.store` and `access.store`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from swarm_core.database import open_database as _open
from swarm_core.database import transaction as transaction


def open_database(path: Path, migrations: tuple[str, ...]) -> sqlite3.Connection:
    """As `swarm_core.database.open_database`; every commit is on disk before it returns."""
    return _open(path, migrations, volume="login-state")

"""Opens SQLite files: WAL, every commit on disk before it returns, schema versions, damage detected.

Used by the login service and the judge. Calls are made from the event loop: they are short, and a commit is one fsync.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swarm_core.errors import FatalError


def open_database(
    path: Path, migrations: tuple[str, ...], *, volume: str, synchronous: str = "FULL"
) -> sqlite3.Connection:
    """The database at `path`, mode 0600, brought to the newest of `migrations` (statements, oldest first).

    `volume` is named in the remedy. `synchronous` NORMAL: the last commits may be lost when the machine loses power,
    never when the process is killed.

    Raises FatalError when the file is damaged, cannot be written, or was written by a newer version.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise sqlite3.DatabaseError(str(check))
        _migrate(connection, path, migrations)
    except (sqlite3.Error, OSError) as error:
        raise FatalError(
            f"The database {path} cannot be used ({error}); nothing was changed.",
            f"restore the {volume} volume from a backup, or move the file away to start an empty one",
        ) from error
    return connection


def _migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[str, ...]) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        raise FatalError(
            f"The database {path} was written by a newer version ({version} > {len(migrations)}).",
            "run the image that wrote it, or a newer one",
        )
    for number in range(version, len(migrations)):
        # one transaction a step: a kill in between leaves the old version, whole
        connection.executescript(f"BEGIN IMMEDIATE;\n{migrations[number]}\nPRAGMA user_version={number + 1};\nCOMMIT;")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All statements inside are committed together, or none is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")

"""The judge's database: its secret, sessions (one question each), and sums of scores. SQLite, one writer.

A session is settled once: by its answer, or by its expiry with 0. Sums are kept per peer, model, signature, round and
level in the same transaction, so the leaderboard never counts sessions. Works with `swarm_core.database`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from swarm_core.database import open_database, transaction

MIGRATIONS = (
    """
    CREATE TABLE secret (id INTEGER PRIMARY KEY CHECK (id = 1), master BLOB NOT NULL);
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, peer TEXT NOT NULL, model TEXT NOT NULL, signed INTEGER NOT NULL, round INTEGER NOT NULL,
        client_round INTEGER NOT NULL, level INTEGER NOT NULL, number INTEGER NOT NULL, dataset TEXT NOT NULL,
        seed INTEGER NOT NULL, question TEXT NOT NULL, issued REAL NOT NULL, expires REAL NOT NULL,
        taken REAL, score REAL,
        UNIQUE (round, level, number)
    );
    CREATE INDEX sessions_of_peer ON sessions (peer, signed, round);
    CREATE INDEX sessions_open ON sessions (expires) WHERE score IS NULL;
    CREATE TABLE tallies (
        peer TEXT NOT NULL, model TEXT NOT NULL, signed INTEGER NOT NULL, round INTEGER NOT NULL,
        level INTEGER NOT NULL, asked INTEGER NOT NULL, total REAL NOT NULL,
        PRIMARY KEY (peer, model, signed, round, level)
    ) WITHOUT ROWID;
    CREATE TABLE places (
        peer TEXT NOT NULL, signed INTEGER NOT NULL, asked INTEGER NOT NULL, PRIMARY KEY (peer, signed)
    ) WITHOUT ROWID;
    CREATE INDEX tallies_of_round ON tallies (round);
    CREATE TABLE games (
        id INTEGER PRIMARY KEY, market TEXT NOT NULL, root BLOB NOT NULL UNIQUE, secrets TEXT NOT NULL,
        game INTEGER, clue INTEGER NOT NULL DEFAULT -1, clue_at REAL, answer_told INTEGER NOT NULL DEFAULT 0,
        outcome TEXT, created REAL NOT NULL, ended REAL
    );
    """,
)
_KEPT_SESSIONS_SECONDS = 7 * 86_400.0
_KEPT_ROUNDS = 604_800  # ten weeks at 10 s, as long as the contract takes reports


@dataclass(frozen=True)
class Session:
    """One question to one peer. `score` is None until it is settled, `taken` None until an answer came."""

    id: str
    peer: str
    model: str
    signed: bool
    round: int
    client_round: int
    level: int
    number: int
    dataset: str
    seed: int
    question: str
    issued: float
    expires: float
    taken: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class Tally:
    """Sum of `asked` scores of one peer and model on one level."""

    peer: str
    model: str
    signed: bool
    level: int
    asked: int
    total: float
    first_round: int
    last_round: int


class JudgeStore:
    """All calls are short and made from the event loop."""

    def __init__(self, path: Path) -> None:
        self.db = open_database(path, MIGRATIONS, volume="judge-state", synchronous="NORMAL")

    def master(self) -> bytes:
        """The secret that all salts come from; made once."""
        self.db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (secrets.token_bytes(32),))
        return bytes(self.db.execute("SELECT master FROM secret").fetchone()[0])

    def next_number(self, round_number: int, level: int) -> int:
        """The first number of this round and level that no session has."""
        row = self.db.execute(
            "SELECT MAX(number) FROM sessions WHERE round = ? AND level = ?", (round_number, level)
        ).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def asked(self, peer: str, signed: bool) -> int:
        """How many questions the peer was ever asked: its place on the ladder."""
        row = self.db.execute("SELECT asked FROM places WHERE peer = ? AND signed = ?", (peer, signed)).fetchone()
        return 0 if row is None else int(row[0])

    def asked_in(self, round_number: int, peer: str, signed: bool) -> int:
        """How many questions the peer was asked in this round."""
        row = self.db.execute(
            "SELECT COUNT(*) FROM sessions WHERE peer = ? AND signed = ? AND round = ?", (peer, signed, round_number)
        ).fetchone()
        return int(row[0])

    def open_session(self, peer: str, signed: bool, now: float) -> Session | None:
        """The peer's session that waits for its answer."""
        row = self.db.execute(
            "SELECT * FROM sessions WHERE peer = ? AND signed = ? AND taken IS NULL AND expires > ? AND score IS NULL "
            "ORDER BY issued DESC LIMIT 1",
            (peer, signed, now),
        ).fetchone()
        return None if row is None else _session(row)

    def add(self, session: Session) -> None:
        """A new session. Raises sqlite3.IntegrityError when its question was asked before."""
        values = (
            session.id, session.peer, session.model, session.signed, session.round, session.client_round,
            session.level, session.number, session.dataset, session.seed, session.question, session.issued,
            session.expires,
        )  # fmt: skip
        marks = ",".join("?" * len(values))
        with transaction(self.db):
            self.db.execute(f"INSERT INTO sessions VALUES ({marks}, NULL, NULL)", values)  # noqa: S608 - placeholders
            self.db.execute(
                "INSERT INTO places VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET asked = asked + 1",
                (session.peer, session.signed),
            )

    def session(self, session_id: str) -> Session | None:
        """By its id."""
        row = self.db.execute("SELECT * FROM sessions WHERE id = ?", (session_id,)).fetchone()
        return None if row is None else _session(row)

    def take(self, session_id: str, now: float) -> bool:
        """Claim the one answer of a session; False when it was answered, expired or settled before."""
        changed = self.db.execute(
            "UPDATE sessions SET taken = ?1 WHERE id = ?2 AND taken IS NULL AND score IS NULL AND expires > ?1",
            (now, session_id),
        )
        return changed.rowcount == 1

    def settle(self, session: Session, score: float) -> bool:
        """Write the score and add it to the sums, once."""
        with transaction(self.db):
            changed = self.db.execute(
                "UPDATE sessions SET score = ? WHERE id = ? AND score IS NULL", (score, session.id)
            )
            if changed.rowcount != 1:
                return False
            self.db.execute(
                "INSERT INTO tallies VALUES (?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE "
                "SET asked = asked + 1, total = total + excluded.total",
                (session.peer, session.model, session.signed, session.round, session.level, score),
            )
        return True

    def overdue(self, now: float, limit: int = 500) -> list[Session]:
        """Sessions whose time is over without a score; also those whose scoring a crash cut off."""
        rows = self.db.execute(
            "SELECT * FROM sessions WHERE score IS NULL AND expires <= ? ORDER BY expires LIMIT ?", (now, limit)
        )
        return [_session(row) for row in rows]

    def forget(self, now: float) -> int:
        """Drop settled sessions that are a week old, and sums that are far behind the newest round."""
        cut = now - _KEPT_SESSIONS_SECONDS
        self.db.execute("DELETE FROM tallies WHERE round < (SELECT MAX(round) FROM tallies) - ?", (_KEPT_ROUNDS,))
        return self.db.execute("DELETE FROM sessions WHERE score IS NOT NULL AND expires < ?", (cut,)).rowcount

    def tallies(self, since_round: int, until_round: int) -> list[Tally]:
        """Sums of all peers over rounds `since_round` to `until_round`, both included."""
        rows: Iterable[sqlite3.Row] = self.db.execute(
            "SELECT peer, model, signed, level, SUM(asked), SUM(total), MIN(round), MAX(round) FROM tallies "
            "WHERE round BETWEEN ? AND ? GROUP BY peer, model, signed, level",
            (since_round, until_round),
        )
        return [Tally(r[0], r[1], bool(r[2]), r[3], r[4], r[5], r[6], r[7]) for r in rows]

    def of_peer(self, peer: str, limit: int) -> list[tuple[int, str, int, float, bool]]:
        """(round, model, asked, total, signed) of a peer's newest rounds, newest first."""
        rows = self.db.execute(
            "SELECT round, model, SUM(asked), SUM(total), signed FROM tallies WHERE peer = ? "
            "GROUP BY round, model, signed ORDER BY round DESC LIMIT ?",
            (peer, limit),
        )
        return [(r[0], r[1], r[2], r[3], bool(r[4])) for r in rows]

    def swarm_means(self, rounds: list[int]) -> dict[int, float]:
        """Mean score of all signed answers of these rounds."""
        marks = ",".join("?" * len(rounds))
        query = f"SELECT round, SUM(total) / SUM(asked) FROM tallies WHERE signed = 1 AND round IN ({marks})"  # noqa: S608
        rows = self.db.execute(f"{query} GROUP BY round", rounds)
        return {int(row[0]): float(row[1]) for row in rows}

    def questions_of(self, round_number: int) -> list[Session]:
        """All sessions of a round, for those who check the judge."""
        rows = self.db.execute(
            "SELECT * FROM sessions WHERE round = ? ORDER BY level, number LIMIT 10000", (round_number,)
        )
        return [_session(row) for row in rows]

    def latest_expiry(self, round_number: int) -> float:
        """Until when a question of this round can be answered; 0 when none waits."""
        row = self.db.execute(
            "SELECT MAX(expires) FROM sessions WHERE round = ? AND score IS NULL", (round_number,)
        ).fetchone()
        return 0.0 if row[0] is None else float(row[0])

    def open_count(self) -> int:
        """Questions that wait for an answer or a score."""
        return int(self.db.execute("SELECT COUNT(*) FROM sessions WHERE score IS NULL").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self.db.close()


def _session(row: sqlite3.Row) -> Session:
    values = dict(row)
    return Session(**{**values, "signed": bool(values["signed"])})

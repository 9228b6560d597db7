"""What is left of old intents: one bit each, so that the outbox does not grow without bound and its sums stay exact.

Works with `store`. Finished intents are many (hundreds a day and peer) and hardly ever asked for again; but the same
intent may come once more, and must then neither be sent nor counted a second time. 4096 consecutive rounds of one kind
and peer are 512 bytes at most. Sums are kept beside the rows (`totals`) and do not change when rows go.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from login_proxy.outbox.intents import Kind, Request, State

BLOCK = 4096
FINISHED = (State.DELIVERED, State.REJECTED)


class Place(NamedTuple):
    """Where an intent's bit is: within a series (stage, or game) the numbers (rounds, or clues) are consecutive."""

    series: int
    block: int
    bit: int


def place(kind: Kind, round_number: int, stage: int) -> Place:
    """The bit of an intent of this kind."""
    series, number = (round_number, stage) if kind is Kind.GUESS else (stage, round_number)
    return Place(series, number // BLOCK, number % BLOCK)


def outcome(db: sqlite3.Connection, tag: str, request: Request) -> State | None:
    """How an intent ended whose row is gone; None if there was none."""
    where = place(request.kind, request.round, request.stage)
    for state in FINISHED:
        key = (tag, request.kind.value, request.peer_id, where.series, where.block, state.value)
        if _bits(db, key) >> where.bit & 1:
            return state
    return None


def compact(db: sqlite3.Connection, older_than: float, keep: int, limit: int) -> int:
    """Replace up to `limit` finished rows by bits; inside a transaction. Returns how many.

    Kept are registrations, what was changed after `older_than` (Unix seconds), and the newest `keep` rows of all.
    """
    newest = db.execute("SELECT max(id) AS id FROM intents").fetchone()["id"] or 0
    rows = db.execute(
        "SELECT id, target, kind, peer_id, round, stage, state FROM intents WHERE state IN (?, ?) AND kind <> ?"
        " AND updated_at < ? AND id <= ? ORDER BY id LIMIT ?",
        (State.DELIVERED.value, State.REJECTED.value, Kind.REGISTER.value, older_than, newest - keep, limit),
    ).fetchall()
    _mark(db, rows)
    ids = [(row["id"],) for row in rows]
    db.executemany("DELETE FROM attempts WHERE intent = ?", ids)
    db.executemany("DELETE FROM intents WHERE id = ?", ids)
    return len(rows)


def _mark(db: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> None:
    masks: dict[tuple[str, str, str, int, int, str], int] = {}
    for row in rows:
        where = place(Kind(row["kind"]), row["round"], row["stage"])
        key = (row["target"], row["kind"], row["peer_id"], where.series, where.block, row["state"])
        masks[key] = masks.get(key, 0) | 1 << where.bit
    for key, mask in masks.items():
        bits = _bits(db, key) | mask
        data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        db.execute("INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, data))


def _bits(db: sqlite3.Connection, key: tuple[str, str, str, int, int, str]) -> int:
    row = db.execute(
        "SELECT bits FROM settled WHERE target = ? AND kind = ? AND peer_id = ? AND series = ? AND block = ?"
        " AND state = ?",
        key,
    ).fetchone()
    return 0 if row is None else int.from_bytes(row["bits"], "little")

"""The outbox on disk: intents, their signed transactions, own peers, and what was last seen of the chain.

Works with `intents` (the rows' meaning) and `database`. A method that changes something returns after the change is
on disk. Rows of another target (another chain or contract) are never touched but to park them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from login_proxy.database import open_database, transaction
from login_proxy.outbox import history
from login_proxy.outbox.intents import UNFINISHED, Attempt, Intent, Kind, ParkReason, Request, State, Target
from login_proxy.outbox.rows import intent_of
from login_proxy.outbox.schema import MIGRATIONS
from swarm_core.errors import SwarmError

# a time to wait for that lies further ahead was written before the clock was set back: it is over
LONGEST_PAUSE = 60.0
_TICK = 1e-6
KEEP_ROWS = 5000  # the newest intents stay as rows: for the page, and for a chain that went back
COMPACT_ROWS = 2000  # at once; more would make others wait


_DUE_BETS = """
    SELECT * FROM intents WHERE target = :target AND state = 'queued' AND kind = 'guess' AND :market
    AND NOT (not_before BETWEEN :early AND :late) AND peer_id IN (SELECT value FROM json_each(:registered))
    ORDER BY id LIMIT :limit
"""
_DUE = """
    SELECT * FROM intents WHERE target = :target AND state = 'queued' AND kind <> 'guess'
    AND (kind <> 'claim' OR :market) AND NOT (not_before BETWEEN :early AND :late) AND peer_id IN
    (SELECT value FROM json_each(CASE kind WHEN 'register' THEN :bound ELSE :registered END)) ORDER BY id LIMIT :limit
"""


class Conflict(SwarmError):
    """The same intent came with another content."""


@dataclass(frozen=True)
class Seen:
    """The newest block known to hold one of our transactions, or read as the tip."""

    number: int
    hash: str


class OutboxStore:
    """Rows of one target. `clock` gives Unix seconds."""

    def __init__(self, path: Path, target: Target, clock: Callable[[], float] = time.time) -> None:
        self._db = open_database(path, MIGRATIONS)
        self.target = target
        self._tag = target.tag
        self._clock = clock
        self._park_other_targets()

    def close(self) -> None:
        """Close the file; everything is on disk already."""
        self._db.close()

    def retarget(self, target: Target) -> None:
        """Work for another target: what waits for the old one is parked, what waited for the new one goes on."""
        self.target, self._tag = target, target.tag
        self._park_other_targets()

    # --- intake ---

    def put(self, request: Request) -> tuple[Intent, bool]:
        """Store `request` unless its key is there. Returns the row and whether it is new; raises Conflict."""
        key, now = request.key(self.target), self._clock()
        with transaction(self._db):
            row = self._db.execute("SELECT * FROM intents WHERE key = ?", (key,)).fetchone()
            if row is not None:
                known = self._intent(row)
                if not known.request.same_content(request):
                    raise Conflict(f"{key} is already stored with another content")
                return known, False
            if (ended := history.outcome(self._db, self._tag, request)) is not None:
                return Intent(0, key, request, ended, reason="finished long ago"), False
            self._db.execute(
                "INSERT INTO intents (key, target, kind, peer_id, round, stage, reward, winners, details, state,"
                " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (key, self._tag, request.kind.value, request.peer_id, request.round, request.stage, request.reward,
                 request.winners_json(), request.details_json(), State.QUEUED.value, now, now),
            )  # fmt: skip
            row = self._db.execute("SELECT * FROM intents WHERE key = ?", (key,)).fetchone()
        return self._intent(row), True

    # --- reading ---

    def get(self, key: str) -> Intent | None:
        """The intent of that key."""
        row = self._db.execute("SELECT * FROM intents WHERE key = ?", (key,)).fetchone()
        return self._intent(row) if row is not None else None

    def sendable(self, limit: int, bound: Collection[str], registered: Collection[str]) -> list[Intent]:
        """Queued and due, oldest first: `register` of peers in `bound`, the others of peers in `registered`.

        Bets come before everything else, because their clue ends. Without a market there are none.
        """
        if limit <= 0:
            return []
        now = self._clock()
        due = {
            "target": self._tag, "early": now + _TICK, "late": now + LONGEST_PAUSE, "limit": limit,
            "bound": json.dumps(sorted(bound)), "registered": json.dumps(sorted(registered)),
            "market": bool(self.target.market),
        }  # fmt: skip
        rows = self._db.execute(_DUE_BETS, due).fetchall()
        if len(rows) < limit:
            rows += self._db.execute(_DUE, due | {"limit": limit - len(rows)}).fetchall()
        return [self._intent(row) for row in rows]

    def sent(self) -> list[Intent]:
        """Intents with a signed transaction whose fate is open, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM intents WHERE target = ? AND state = ? ORDER BY id", (self._tag, State.SENT.value)
        ).fetchall()
        return [self._intent(row) for row in rows]

    def delivered(self, limit: int, offset: int = 0) -> list[Intent]:
        """Delivered intents, newest block first."""
        rows = self._db.execute(
            "SELECT * FROM intents WHERE target = ? AND state = ? ORDER BY block DESC, id DESC LIMIT ? OFFSET ?",
            (self._tag, State.DELIVERED.value, limit, offset),
        ).fetchall()
        return [self._intent(row) for row in rows]

    def recent(self, limit: int, state: State | None = None) -> list[Intent]:
        """The intents that came in last, newest first; those in `state`, if it is given."""
        if state is None:
            rows = self._db.execute(
                "SELECT * FROM intents WHERE target = ? ORDER BY id DESC LIMIT ?", (self._tag, limit)
            ).fetchall()
        else:
            rows = self._db.execute(
                "SELECT * FROM intents WHERE target = ? AND state = ? ORDER BY id DESC LIMIT ?",
                (self._tag, state.value, limit),
            ).fetchall()
        return [self._intent(row) for row in rows]

    def counts(self) -> dict[str, dict[str, int]]:
        """kind -> state -> number of intents of this target."""
        rows = self._db.execute(
            "SELECT kind, state, sum(intents) AS n FROM totals WHERE target = ? AND intents > 0 GROUP BY kind, state",
            (self._tag,),
        )
        table: dict[str, dict[str, int]] = {}
        for row in rows:
            table.setdefault(row["kind"], {})[row["state"]] = row["n"]
        return table

    def has_work(self) -> bool:
        """Whether an intent of this target is queued or sent."""
        row = self._db.execute(
            "SELECT 1 FROM intents WHERE target = ? AND state IN (?, ?) LIMIT 1",
            (self._tag, State.QUEUED.value, State.SENT.value),
        ).fetchone()
        return row is not None

    def oldest_unfinished(self) -> float | None:
        """When the oldest unfinished intent of this target came in, Unix seconds."""
        row = self._db.execute(
            "SELECT min(created_at) AS t FROM intents WHERE target = ? AND state IN (?, ?, ?)", (self._tag, *UNFINISHED)
        ).fetchone()
        return None if row["t"] is None else float(row["t"])

    def reward_sums(self) -> dict[str, dict[str, int]]:
        """peer -> state -> sum of rewards."""
        rows = self._db.execute(
            "SELECT peer_id, state, reward AS s FROM totals WHERE target = ? AND kind = ? AND intents > 0",
            (self._tag, Kind.REWARD.value),
        )
        table: dict[str, dict[str, int]] = {}
        for row in rows:
            table.setdefault(row["peer_id"], {})[row["state"]] = int(row["s"])
        return table

    # --- transitions ---

    def sign(self, signed: Iterable[tuple[int, Attempt]]) -> None:
        """queued -> sent: commit the signed bytes. They may go out only after this returned."""
        now = self._clock()
        with transaction(self._db):
            for intent, attempt in signed:
                self._move(intent, State.SENT, "", (State.QUEUED,), now)
                self._add_attempt(intent, attempt, now)

    def offer_more(self, intent: int, attempt: Attempt) -> None:
        """sent -> sent with another transaction of the same nonce, committed before it goes out."""
        now = self._clock()
        with transaction(self._db):
            self._move(intent, State.SENT, "", (State.SENT,), now)
            self._add_attempt(intent, attempt, now)

    def deliver(self, intents: Iterable[tuple[int, str | None, int]], seen: Seen | None) -> None:
        """queued or sent -> delivered, each with its transaction hash (if known) and block; remembers `seen`."""
        now = self._clock()
        with transaction(self._db):
            for intent, tx_hash, block in intents:
                self._move(intent, State.DELIVERED, "", (State.QUEUED, State.SENT), now)
                self._db.execute("UPDATE intents SET tx_hash = ?, block = ? WHERE id = ?", (tx_hash, block, intent))
            if seen is not None:
                self._remember({"seen_number": str(seen.number), "seen_hash": seen.hash})

    def reject(self, intent: int, reason: str) -> None:
        """queued or sent -> rejected, for good."""
        with transaction(self._db):
            self._move(intent, State.REJECTED, reason, (State.QUEUED, State.SENT), self._clock())

    def postpone(self, intent: int, reason: str, seconds: float) -> None:
        """queued or sent -> queued, not before `seconds` from now; counts a try."""
        now = self._clock()
        with transaction(self._db):
            self._move(intent, State.QUEUED, reason, (State.QUEUED, State.SENT), now)
            self._db.execute(
                "UPDATE intents SET tries = tries + 1, not_before = ? WHERE id = ?", (now + seconds, intent)
            )

    def mark_reverted(self, intent: int, tx_hash: str) -> None:
        """Remember that this transaction was mined without effect."""
        with transaction(self._db):
            self._db.execute("UPDATE attempts SET reverted = 1 WHERE intent = ? AND hash = ?", (intent, tx_hash))

    def recall(self, intents: Collection[int]) -> None:
        """delivered -> sent (its bytes go out again) or queued (no bytes kept): the chain lost them."""
        now = self._clock()
        with transaction(self._db):
            for intent in intents:
                kept = self._db.execute(
                    "SELECT 1 FROM attempts WHERE intent = ? AND reverted = 0", (intent,)
                ).fetchone()
                state = State.SENT if kept is not None else State.QUEUED
                self._move(intent, state, "the chain went back", (State.DELIVERED,), now)
                self._db.execute("UPDATE intents SET tx_hash = NULL, block = NULL WHERE id = ?", (intent,))

    def wish_again(self, key: str) -> None:
        """delivered, rejected -> queued: a registration that the chain does not show is wanted again."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE intents SET state = ?, reason = '', not_before = 0, updated_at = ?"
                " WHERE key = ? AND state IN (?, ?)",
                (State.QUEUED.value, self._clock(), key, State.DELIVERED.value, State.REJECTED.value),
            )

    def park(self, reason: ParkReason, peer_id: str | None = None) -> int:
        """queued -> parked for one peer; queued or sent -> parked for the whole target. Returns how many.

        What a single peer has in flight goes on: its nonces must be used up, and its receipts tell the outcome.
        """
        states = (State.QUEUED, State.SENT) if peer_id is None else (State.QUEUED,)
        with transaction(self._db):
            cursor = self._db.execute(
                "UPDATE intents SET state = ?, reason = ?, updated_at = ? WHERE target = ?"
                " AND state IN (SELECT value FROM json_each(?)) AND (? IS NULL OR peer_id = ?)",
                (State.PARKED.value, reason.value, self._clock(), self._tag,
                 json.dumps([state.value for state in states]), peer_id, peer_id),
            )  # fmt: skip
        return cursor.rowcount

    def unpark(self, reason: ParkReason, peer_id: str | None = None) -> int:
        """parked for `reason` -> sent where signed bytes exist, else queued. Returns how many."""
        with transaction(self._db):
            return self._unpark(reason, peer_id)

    # --- peers and memory ---

    def own_peers(self) -> dict[str, str]:
        """peer id -> node name, for every peer ever seen on this host."""
        rows = self._db.execute("SELECT peer_id, node FROM peers ORDER BY node, peer_id")
        return {row["peer_id"]: row["node"] for row in rows}

    def former_peers(self) -> set[str]:
        """Own peers whose place another key has taken since, by a restore."""
        return {row["peer_id"] for row in self._db.execute("SELECT peer_id FROM peers WHERE former = 1")}

    def add_peer(self, peer_id: str, node: str, *, alone: bool = True) -> None:
        """Remember an own peer, so that a daemon's restart does not make it a stranger.

        `alone`: a node has one key, so that others of the same name are former ones now.
        """
        with transaction(self._db):
            if alone:
                self._db.execute("UPDATE peers SET former = 1 WHERE node = ? AND peer_id <> ?", (node, peer_id))
            self._db.execute(
                "INSERT INTO peers (peer_id, node, seen_at) VALUES (?, ?, ?) ON CONFLICT (peer_id)"
                " DO UPDATE SET node = excluded.node, seen_at = excluded.seen_at, former = 0",
                (peer_id, node, self._clock()),
            )

    def seen(self) -> Seen | None:
        """The last block remembered for this target."""
        number, block_hash = self._recall_value("seen_number"), self._recall_value("seen_hash")
        return None if number is None or block_hash is None else Seen(int(number), block_hash)

    def remember_seen(self, seen: Seen) -> None:
        """Remember a block after looking back."""
        with transaction(self._db):
            self._remember({"seen_number": str(seen.number), "seen_hash": seen.hash})

    def genesis(self) -> str | None:
        """The genesis hash of the first preflight against this target."""
        return self._recall_value("genesis")

    def remember_genesis(self, value: str) -> None:
        """Remember the genesis hash: a later other one means another chain."""
        with transaction(self._db):
            self._remember({"genesis": value})

    def prune(self, older_than_seconds: float) -> int:
        """Forget the signed bytes of intents finished long ago, and turn the oldest rows into bits. Returns how many.

        As many as `COMPACT_ROWS` means that there may be more.
        """
        before = self._clock() - older_than_seconds
        with transaction(self._db):
            self._db.execute(
                "DELETE FROM attempts WHERE intent IN"
                " (SELECT id FROM intents WHERE state IN (?, ?) AND updated_at < ?)",
                (State.DELIVERED.value, State.REJECTED.value, before),
            )
            return history.compact(self._db, before, KEEP_ROWS, COMPACT_ROWS)

    # --- inside ---

    def _move(self, intent: int, to: State, reason: str, allowed: tuple[State, ...], now: float) -> None:
        cursor = self._db.execute(
            "UPDATE intents SET state = ?, reason = ?, updated_at = ? WHERE id = ? AND state IN"
            " (SELECT value FROM json_each(?))",
            (to.value, reason, now, intent, json.dumps([state.value for state in allowed])),
        )
        if cursor.rowcount != 1:
            raise ValueError(f"intent {intent} is in no state of {[state.value for state in allowed]}")

    def _unpark(self, reason: ParkReason, peer_id: str | None) -> int:
        cursor = self._db.execute(
            "UPDATE intents SET reason = '', updated_at = ?, state = CASE WHEN EXISTS"
            " (SELECT 1 FROM attempts WHERE intent = intents.id AND reverted = 0) THEN ? ELSE ? END"
            " WHERE target = ? AND state = ? AND reason = ? AND (? IS NULL OR peer_id = ?)",
            (self._clock(), State.SENT.value, State.QUEUED.value, self._tag, State.PARKED.value, reason.value,
             peer_id, peer_id),
        )  # fmt: skip
        return cursor.rowcount

    def _park_other_targets(self) -> None:
        with transaction(self._db):
            self._db.execute(
                "UPDATE intents SET state = ?, reason = ? WHERE target <> ? AND state IN (?, ?)",
                (State.PARKED.value, ParkReason.OTHER_TARGET.value, self._tag, State.QUEUED.value, State.SENT.value),
            )
            self._unpark(ParkReason.OTHER_TARGET, None)

    def _remember(self, values: Mapping[str, str]) -> None:
        self._db.executemany(
            "INSERT INTO memory (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [(f"{self._tag}|{name}", value) for name, value in values.items()],
        )

    def _recall_value(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM memory WHERE name = ?", (f"{self._tag}|{name}",)).fetchone()
        return None if row is None else str(row["value"])

    def _add_attempt(self, intent: int, attempt: Attempt, now: float) -> None:
        self._db.execute(
            "INSERT INTO attempts (intent, hash, nonce, raw, account, signed_at, gas, max_fee, priority)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (intent, attempt.hash, attempt.nonce, attempt.raw, attempt.account, now, attempt.gas,
             attempt.fees.max_fee, attempt.fees.priority),
        )  # fmt: skip

    def _intent(self, row: sqlite3.Row) -> Intent:
        attempts = self._db.execute("SELECT * FROM attempts WHERE intent = ? ORDER BY id", (row["id"],)).fetchall()
        return intent_of(row, attempts)

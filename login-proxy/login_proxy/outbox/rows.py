"""Rows of the outbox's tables as `intents.Intent`. Works with `store`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from login_proxy.outbox.intents import Attempt, Intent, Kind, Request, State
from swarm_chain.records import Fees


def intent_of(row: sqlite3.Row, attempts: Sequence[sqlite3.Row]) -> Intent:
    """The intent of a row of `intents` and its rows of `attempts`, oldest first."""
    details = json.loads(row["details"] or "{}")
    request = Request(
        Kind(row["kind"]),
        row["peer_id"],
        row["round"],
        row["stage"],
        row["reward"],
        tuple(json.loads(row["winners"])),
        choice=details.get("choice", -1),
        bet=int(details.get("bet", 0)),
    )
    return Intent(
        id=row["id"], key=row["key"], request=request, state=State(row["state"]), reason=row["reason"],
        tries=row["tries"], not_before=row["not_before"], created_at=row["created_at"], tx_hash=row["tx_hash"],
        block=row["block"], attempts=tuple(_attempt(attempt) for attempt in attempts),
    )  # fmt: skip


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        row["hash"], row["nonce"], bytes(row["raw"]), row["account"], bool(row["reverted"]), row["gas"],
        Fees(max_fee=row["max_fee"], priority=row["priority"]),
    )  # fmt: skip

"""Counts of the exchange that outlive a generation; read by status and metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counters:
    """`fetches` by result (batch, none, busy, failed, rejected), `rejected` and `failed` by reason."""

    fetches: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    bytes_received: int = 0
    collects: int = 0
    bad_bootnodes: int = 0
    stray_errors: int = 0

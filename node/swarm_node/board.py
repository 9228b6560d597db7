"""The worker's status board: what it does now, its history, and the socket that tells it.

Only the worker writes; `node.sock` reads (ARCHITECTURE.md 4.2).
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Response
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from swarm_core.log import get_logger
from swarm_core.resident import resident_bytes
from swarm_core.status import NodeStatus, Phase, RoundRecord
from swarm_node.events import EventFiles
from swarm_node.history import KEPT, History
from swarm_node.terminal import TerminalLine

log = get_logger("worker")


class Board:
    """Status and history of one worker."""

    def __init__(self, status: NodeStatus, history: Path | None = None, events: EventFiles | None = None) -> None:
        self._status = status
        self._history = History(history)
        self._rounds: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._events = events
        self._line = TerminalLine(sys.stderr)

    @property
    def status(self) -> NodeStatus:
        return self._status.model_copy(update={"memory_rss": resident_bytes()})

    def set(self, **fields: Any) -> None:
        """Change fields of the status."""
        self._status = self._status.model_copy(update=fields)

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Show `phase` and measure how long it takes."""
        self.set(phase=phase, phase_since=time.time())
        self._line.show(self._status)
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[phase] = self._seconds.get(phase, 0.0) + time.monotonic() - start

    def seconds(self, phase: Phase) -> float:
        """Seconds spent in `phase` since `take_seconds`."""
        return self._seconds.get(phase, 0.0)

    def take_seconds(self) -> dict[str, float]:
        """Seconds by phase since the last call."""
        seconds, self._seconds = self._seconds, {}
        return {phase: round(value, 4) for phase, value in seconds.items()}

    def state(self, state: str, why: str) -> None:
        """Show training, isolated or failing; a change is logged once."""
        if state == self._status.state:
            return
        say = log.info if state == "training" else log.warning
        say("state changed", state=state, was=self._status.state, why=why)
        self.set(state=state)

    def finish(self, record: RoundRecord) -> None:
        """Enter a finished round into history, counters and log."""
        self._history.add(record)
        self._line.clear()
        if self._events is not None:
            self._events.add(record)
        self._rounds[record.result] += 1
        self._rejected.update(record.external_rejected)
        fields: dict[str, Any] = {"rounds": dict(self._rounds), "external_rejected": dict(self._rejected)}
        if record.result == "ok":
            fields |= {
                "last_progress": record.finished_at,
                "optimizer_step": record.optimizer_step,
                "reward_own": record.own_reward,
                "reward_batch": record.batch_reward,
                "external_used": self._status.external_used + len(record.external),
                "last_error": "",
            }
            if record.held_out_reward is not None:
                fields["reward_held_out"] = record.held_out_reward
            log.info(
                "round done",
                round=record.training_round,
                chain_round="-" if record.chain_round is None else record.chain_round,
                reward=record.own_reward,
                groups=record.groups_trained,
                external=len(record.external),
                step=record.optimizer_step,
                seconds=sum(value for phase, value in record.seconds.items() if phase != "waiting"),
            )
        self.set(**fields)

    def history(self, limit: int) -> list[RoundRecord]:
        """The newest `limit` records, newest last."""
        return self._history.newest(limit)

    def app(self) -> FastAPI:
        """What `node.sock` serves."""
        app = FastAPI(title="swarm-node", docs_url=None, redoc_url=None, openapi_url=None)

        @app.get("/v1/live")
        async def live() -> dict[str, str]:
            return {"state": self._status.state}

        @app.get("/v1/status")
        async def status() -> NodeStatus:
            return self.status

        @app.get("/v1/history")
        async def history(limit: int = Query(50, ge=1, le=KEPT)) -> list[RoundRecord]:
            return self.history(limit)

        @app.get("/metrics")
        async def metrics() -> Response:
            return Response(self._metrics(), media_type="text/plain; version=0.0.4")

        return app

    def _metrics(self) -> bytes:
        registry = CollectorRegistry()
        for name, value in self.status.model_dump().items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                Gauge(f"rlswarm_worker_{name}", f"Field {name} of the status", registry=registry).set(value)
        return generate_latest(registry)

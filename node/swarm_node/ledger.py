"""The worker's durable book of rewards: what was earned, what is being handed over, what the login service took.

One JSON file, written atomically at every change, so that a crash neither loses a reward nor counts one twice: a
training round is credited once, and a report keeps its (round, stage) key until the login service has it on disk.
"""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from swarm_core.errors import ConfigError
from swarm_core.files import read_json, write_json
from swarm_core.log import get_logger

_MAX_OUTGOING = 20_000
log = get_logger("ledger")


class Report(BaseModel):
    """What is reported for one chain round: an integer reward (None: vote only) and the winners."""

    round: int
    stage: int
    reward: int | None
    winners: list[str]
    peer_id: str


class _Book(BaseModel):
    chain: str = ""
    peer_id: str = ""
    credited: dict[str, int] = Field(default_factory=dict)
    pending: float = 0.0
    handed_over: int = 0
    reported_round: int = -1
    outgoing: list[Report] = Field(default_factory=list)


class Ledger:
    """The book of one node, at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            found = read_json(path)
            self._book = _Book() if found is None else _Book.model_validate(found)
        except (ValueError, ValidationError) as error:
            raise ConfigError(
                f"The ledger {path} is damaged.",
                f"move it away to start a new one; rewards in it are then lost: {path}",
            ) from error

    @property
    def peer_id(self) -> str:
        """The peer this node was when the daemon last answered; empty: it never did."""
        return self._book.peer_id

    def identify(self, peer_id: str) -> None:
        """Remember the peer id, so that a start without the daemon goes on as the same peer."""
        if peer_id != self._book.peer_id:
            self._enter(peer_id=peer_id)

    @property
    def pending(self) -> float:
        """Reward earned and not yet in a report."""
        return self._book.pending

    @property
    def handed_over(self) -> int:
        """Sum of the rewards that the login service has accepted."""
        return self._book.handed_over

    def credited_round(self, config: str) -> int:
        """The newest training round of this config hash whose reward was credited; -1: none."""
        return self._book.credited.get(config, -1)

    @property
    def reported_round(self) -> int:
        """The newest chain round a report was made for; -1: none."""
        return self._book.reported_round

    def outgoing(self) -> list[Report]:
        """Reports not yet accepted, oldest first."""
        return list(self._book.outgoing)

    def credit(self, config: str, training_round: int, reward: float) -> bool:
        """Add the own reward of a round under `config`; False if it was credited before (redone after a crash).

        A disk that refuses is told and tried again with the next entry: the reward stays in memory meanwhile.
        """
        if training_round <= self.credited_round(config):
            return False
        credited = {**self._book.credited, config: training_round}
        self._enter(credited=credited, pending=self._book.pending + reward)
        return True

    def report(self, chain_round: int, stage: int, winners: list[str], peer_id: str) -> Report | None:
        """Turn the pending reward into a report for `chain_round`; its fraction stays pending.

        None when that round was reported already, or when too many reports wait (the reward then stays pending).
        Raises OSError when it cannot be written: a report must be on disk before anybody hears of it.
        """
        if chain_round <= self._book.reported_round or len(self._book.outgoing) >= _MAX_OUTGOING:
            return None
        whole = math.floor(self._book.pending)
        report = Report(round=chain_round, stage=stage, reward=whole or None, winners=winners, peer_id=peer_id)
        self._save(
            pending=self._book.pending - whole,
            outgoing=[*self._book.outgoing, report],
            reported_round=chain_round,
        )
        return report

    def accepted(self, report: Report) -> None:
        """The login service has `report` on disk."""
        rest = [entry for entry in self._book.outgoing if entry != report]
        self._enter(outgoing=rest, handed_over=self._book.handed_over + (report.reward or 0))

    def refused(self, report: Report) -> None:
        """The login service will never take `report`: its reward is pending again, its vote is given up."""
        rest = [entry for entry in self._book.outgoing if entry != report]
        self._enter(outgoing=rest, pending=self._book.pending + (report.reward or 0))

    def follow(self, chain: str) -> None:
        """Book for `chain` (id, genesis, contract) from now on. On another chain rounds start over, and what was not
        yet accepted becomes pending again, to be reported there."""
        if chain == self._book.chain:
            return
        waiting = sum(report.reward or 0 for report in self._book.outgoing)
        self._save(chain=chain, outgoing=[], pending=self._book.pending + waiting, reported_round=-1)

    def _enter(self, **changes: object) -> None:
        """Change the book in memory, and on disk if that is possible now; the next entry writes all of it."""
        try:
            self._save(**changes)
        except OSError as error:
            log.error("ledger not written, it is kept in memory", error=str(error))
            self._book = self._book.model_copy(update=changes)

    def _save(self, **changes: object) -> None:
        book = self._book.model_copy(update=changes)
        write_json(self._path, book.model_dump())
        self._book = book

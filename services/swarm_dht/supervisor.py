"""Keeps p2pd alive: starts generations, watches the current one, replaces a lost one, redoes what was in flight.

Signs of loss: p2pd's exit, the end of a control task, two identify probes in a row without an answer (a stopped or
hung p2pd; one that is at work on a busy machine gets more), or that somebody gave it up (`replace`: it answers, and
reaches nobody). The old process is killed and waited for before the next starts: two p2pds would share the port.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_dht.backoff import Backoff
from swarm_dht.generation import CALL_ERRORS, Generation
from swarm_dht.vitality import look, starved

T = TypeVar("T")
Start = Callable[[int], Awaitable[Generation]]
_PROBE_EVERY_SECONDS = 0.5
_PROBE_SECONDS = 1.0
_PROBES_LOST = 2
_PROBES_LOST_AT_WORK = 8
_SETTLED_SECONDS = 30.0  # a generation that lived this long starts the back-off anew
# A p2pd that worked before it died is replaced at once, 60 times a minute; one that dies at its start, five times.
_MANY_DEATHS = 60
_WORKED_SECONDS = 0.5
_WITHOUT_WORK = 12  # what a death at the start counts
_WINDOW_SECONDS = 60.0
_NOTICE_SECONDS = 1.0  # by then the death of p2pd, seen by a caller as a broken pipe, is seen here too
log = get_logger("supervisor")


class Supervisor:
    """Owns the current generation. `changed` is set whenever there is a new one or none."""

    def __init__(self, start: Start, rng: random.Random) -> None:
        self._start = start
        self._backoff = Backoff(0.2, 15.0, rng)
        self._available = asyncio.Event()
        self._given_up: asyncio.Future[str] | None = None
        self._recent: deque[tuple[float, int]] = deque(maxlen=_MANY_DEATHS + 1)  # when, and what it counts
        self._worked_last = 0  # number of the newest generation that did something for a caller
        self.generation: Generation | None = None
        self.number = 0
        self.rebuilds = 0
        self.listen: list[str] = []
        self.reason = ""

    @property
    def degraded(self) -> bool:
        """Whether p2pd died too often in the last minute to be replaced at once."""
        return sum(self._deaths()) > _MANY_DEATHS

    def _deaths(self) -> list[int]:
        since = time.monotonic() - _WINDOW_SECONDS
        return [counts for at, counts in self._recent if at > since]

    async def run(self, service: Service) -> None:
        """Until asked to stop: start, watch, replace."""
        while not service.stop.is_set():
            generation = await self._next(service)
            if generation is None:
                continue
            reason = await self._watch(generation, service)
            self._available.clear()
            self.generation = None
            generation.lost.set()
            await generation.kill()
            if service.stop.is_set():
                return
            await self._lost(generation, reason, service)

    def replace(self, generation: Generation, reason: str) -> None:
        """Give up `generation`, unless it is gone already."""
        if self.generation is generation and self._given_up is not None and not self._given_up.done():
            self._given_up.set_result(reason)

    async def current(self) -> Generation:
        """The generation now up, or the next one."""
        while (generation := self.generation) is None:
            await self._available.wait()
        return generation

    async def call(self, operation: Callable[[Generation], Awaitable[T]], seconds: float) -> T:
        """Do `operation` on the current generation, again on the next one if that is lost meanwhile.

        Raises TimeoutError after `seconds`, or what the operation raises.
        """
        async with asyncio.timeout(seconds):
            while True:
                generation = await self.current()
                work = asyncio.ensure_future(operation(generation))
                lost = asyncio.ensure_future(generation.lost.wait())
                try:
                    await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
                    if work.done() and (work.exception() is None or not await self._was_lost(generation, work)):
                        self._worked_last = generation.number
                        return work.result()
                finally:
                    work.cancel()
                    lost.cancel()

    async def _was_lost(self, generation: Generation, work: asyncio.Future[T]) -> bool:
        if isinstance(work.exception(), (OSError, EOFError)) and not isinstance(work.exception(), TimeoutError):
            try:  # the control socket broke: the watcher is about to see why
                async with asyncio.timeout(_NOTICE_SECONDS):
                    await generation.lost.wait()
            except TimeoutError:
                return False
        return generation.lost.is_set()

    async def _next(self, service: Service) -> Generation | None:
        started = time.monotonic()
        try:
            generation = await self._start(self.number + 1)
        except CALL_ERRORS as error:
            self.reason = f"p2pd does not start: {str(error) or type(error).__name__}"
            pause = self._backoff.next()
            log.warning("p2pd does not start", error=str(error) or type(error).__name__, again_in=pause)
            await service.sleep(pause)
            return None
        self.number += 1
        self.generation = generation
        self.reason = ""
        self._available.set()
        log.info("p2pd up", generation=self.number, peer=generation.peer_id, seconds=time.monotonic() - started)
        return generation

    async def _lost(self, generation: Generation, reason: str, service: Service) -> None:
        now = time.monotonic()
        was_degraded = self.degraded
        self.rebuilds += 1
        worked = self._worked_last == generation.number or now - generation.started >= _WORKED_SECONDS
        self._recent.append((now, 1 if worked else _WITHOUT_WORK))
        self.reason = reason
        if now - generation.started >= _SETTLED_SECONDS:
            self._backoff.reset()
        log.warning("p2pd lost", generation=generation.number, reason=reason, lived=now - generation.started)
        if self.degraded and not was_degraded:
            log.error("p2pd dies again and again: rebuilding more slowly", rebuilds_last_minute=len(self._deaths()))
        if self.degraded:
            await service.sleep(self._backoff.next())

    async def _watch(self, generation: Generation, service: Service) -> str:
        stopping = asyncio.create_task(service.stop.wait())
        self._given_up = asyncio.get_running_loop().create_future()
        watchers: set[asyncio.Future[str]] = {
            asyncio.create_task(generation.died()),
            asyncio.create_task(self._probe(generation)),
            self._given_up,
        }
        ends: set[asyncio.Future[Any]] = {*watchers, stopping}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return next((watcher.result() for watcher in watchers if watcher in done), "stopping")
        finally:
            for end in ends:
                end.cancel()

    async def _probe(self, generation: Generation) -> str:
        missed, allowed = 0, _PROBES_LOST
        while missed < allowed:
            began, before = time.monotonic(), look(generation.pid)
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    self.listen = await generation.identify()
                missed = 0
            except CALL_ERRORS:
                missed += 1
                allowed = _PROBES_LOST_AT_WORK if starved(before, look(generation.pid)) else _PROBES_LOST
                if time.monotonic() - began > 2 * _PROBE_SECONDS:
                    missed = 0  # we stood still ourselves: that says nothing about p2pd
            if not missed:
                await asyncio.sleep(_PROBE_EVERY_SECONDS)
            else:  # a refused connection comes back at once
                await asyncio.sleep(max(0.0, began + _PROBE_SECONDS - time.monotonic()))
        return "p2pd does not answer"

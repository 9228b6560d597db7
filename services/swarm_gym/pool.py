"""Makes questions and scores texts of strangers in processes that can be killed.

Works with `zygote` (forks the workers) and `wire`. Two fast workers serve everybody; a text that takes one of them more
than `fast_seconds` of CPU time costs that worker its life and is tried once more by the slow worker, which is for such
texts only. One that fails there too scores 0. So a hostile text never holds up more than one of the fast workers, and
that for `fast_seconds`. CPU time is counted because a busy machine must not make a text look hostile.
Questions have a worker of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarm_core.errors import SwarmError, Unavailable
from swarm_core.log import get_logger
from swarm_gym import wire

_START_SECONDS = 60.0
_LONGEST_WAIT = 10.0  # of a worker that gets no CPU at all
_QUEUE_SECONDS = 5.0
_MAKE_SECONDS = 5.0  # our own questions, no stranger's
log = get_logger("scorer")


@dataclass(frozen=True)
class Question:
    """A question by its dataset, seed and the dataset's configuration."""

    name: str
    seed: int
    params: Mapping[str, Any]

    def as_list(self) -> list[Any]:
        """As it goes over the wire."""
        return [self.name, self.seed, dict(self.params)]


class TextTooHard(SwarmError):
    """A worker needed too much time or memory and was ended."""


class _Worker:
    """One forked process and our end of its socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int, handle: int) -> None:
        self.reader, self.writer, self.pid, self._handle = reader, writer, pid, handle

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        os.close(self._handle)
        self.writer.close()

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, infinite when it is gone."""
        try:
            with open(f"/proc/{self.pid}/schedstat") as file:
                return int(file.read().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            return float("inf")


class _Lane:
    """Workers that share a time limit; replaces those that were killed."""

    def __init__(self, zygote: Zygote, size: int, seconds: float) -> None:
        self._zygote = zygote
        self._size = size
        self._seconds = seconds
        self._made = 0
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()

    async def _grow(self) -> None:
        """One more worker if none is idle: each costs memory, and some lanes are never used."""
        if self._idle.empty() and self._made < self._size:
            self._made += 1
            try:
                self._idle.put_nowait(await self._zygote.fork())
            except BaseException:
                self._made -= 1
                raise

    async def ask(self, request: Any) -> Any:
        """The worker's answer. Raises TextTooHard when it had to be killed, Unavailable when none is free in time."""
        await self._grow()
        try:
            async with asyncio.timeout(_QUEUE_SECONDS):
                worker = await self._idle.get()
        except TimeoutError as error:
            raise Unavailable("the scorer is overloaded") from error
        healthy = False
        try:
            answer = await self._exchange(worker, request)
            healthy = True
            return answer
        finally:  # also when the caller is cancelled: a worker with half an answer must not serve the next one
            if healthy:
                self._idle.put_nowait(worker)
            else:
                worker.kill()
                self._zygote.replace(self._idle)

    async def _exchange(self, worker: _Worker, request: Any) -> Any:
        began, loop = worker.cpu_seconds(), asyncio.get_running_loop()
        end = loop.time() + _LONGEST_WAIT
        answer = asyncio.ensure_future(self._converse(worker, request))
        try:
            while not (await asyncio.wait({answer}, timeout=self._seconds))[0]:
                if worker.cpu_seconds() - began >= self._seconds or loop.time() > end:
                    raise TextTooHard(f"more than {self._seconds:g} s")
            return answer.result()
        except wire.WorkerGone as error:
            raise TextTooHard("the scorer ran out of memory") from error
        finally:
            answer.cancel()

    async def _converse(self, worker: _Worker, request: Any) -> Any:
        try:
            worker.writer.write(wire.pack(request))
            await worker.writer.drain()
        except OSError as error:
            raise wire.WorkerGone(type(error).__name__) from error
        return await wire.read(worker.reader)

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().kill()


class Zygote:
    """The process that has reasoning-gym imported, and forks."""

    def __init__(self, memory_mebibytes: int) -> None:
        self._memory = memory_mebibytes
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._replacing: set[asyncio.Task[None]] = set()
        self.forks = 0

    async def start(self) -> None:
        """Raises Unavailable when reasoning-gym is not imported in time."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "swarm_gym.zygote", str(theirs.fileno())]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
            )
        ours.setblocking(False)
        self._control = ours
        try:
            async with asyncio.timeout(_START_SECONDS):
                ready = await asyncio.get_running_loop().sock_recv(ours, 1)
        except TimeoutError as error:
            raise Unavailable(f"reasoning-gym was not imported within {_START_SECONDS:g} s") from error
        if not ready:
            raise Unavailable("the scorer process ended while it started")

    async def wait(self) -> int:
        """Until the process ends; its exit code."""
        assert self._process is not None  # noqa: S101 - called after start
        return await self._process.wait()

    async def fork(self) -> _Worker:
        """A new worker. Raises Unavailable when there is none."""
        if self._control is None:
            raise Unavailable("the scorer is not running")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [str(self._memory).encode()], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise Unavailable("the scorer process is gone") from error
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(_START_SECONDS):
                pid = int((await wire.read(reader))["pid"])
            handle = os.pidfd_open(pid)
        except (TimeoutError, wire.WorkerGone, OSError) as error:
            writer.close()
            raise Unavailable("the scorer process forks no more") from error
        except asyncio.CancelledError:
            writer.close()
            raise
        self.forks += 1
        return _Worker(reader, writer, pid, handle)

    def replace(self, idle: asyncio.Queue[_Worker]) -> None:
        """Put a new worker into `idle`, in the background; the zygote's death ends the process anyway."""

        async def add() -> None:
            try:
                idle.put_nowait(await self.fork())
            except Unavailable as error:
                log.warning("scorer not replaced", reason=str(error))

        task = asyncio.ensure_future(add())
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def close(self) -> None:
        """End the process; workers end with their sockets."""
        for task in list(self._replacing):
            task.cancel()
        if self._replacing:
            await asyncio.wait(self._replacing)
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()


class ScorerPool:
    """`await start()`, then `make` and `score`; `run` supervises; `close` ends all processes."""

    def __init__(
        self, *, workers: int = 2, fast_seconds: float = 0.04, slow_seconds: float = 1.0, memory_mebibytes: int = 256
    ) -> None:
        self._zygote = Zygote(memory_mebibytes)
        self._fast = _Lane(self._zygote, workers, fast_seconds)
        self._slow = _Lane(self._zygote, 1, slow_seconds)
        self._maker = _Lane(self._zygote, 1, _MAKE_SECONDS)
        self.killed = 0
        self.quarantined = 0

    async def start(self) -> None:
        """Import reasoning-gym, some seconds; workers are forked as they are needed. Raises Unavailable."""
        await self._zygote.start()

    async def run(self) -> None:
        """Until the zygote ends; raises Unavailable then, which ends the service with a truthful exit code."""
        code = await self._zygote.wait()
        raise Unavailable(f"the scorer process ended with code {code}")

    async def make(self, questions: Sequence[Question]) -> list[tuple[str, str]]:
        """Text and answer key of each question. Raises Unavailable, TextTooHard."""
        answer = await self._maker.ask({"op": "make", "questions": [question.as_list() for question in questions]})
        return [(str(text), str(key)) for text, key in answer["entries"]]

    async def draw(self, candidates: Sequence[Sequence[Question]]) -> list[tuple[int, str, str] | None]:
        """For each list of candidates the first that nobody trains on: its place, text and answer key; None: none is.

        Raises as `make`.
        """
        lists = [[question.as_list() for question in questions] for questions in candidates]
        answer = await self._maker.ask({"op": "draw", "candidates": lists})
        return [None if found is None else (int(found[0]), str(found[1]), str(found[2])) for found in answer["drawn"]]

    async def score(self, question: Question, texts: Sequence[str]) -> list[float]:
        """Scores of completions (the answer stands in `<answer>` tags), 0 for all when they were too hard.

        Raises Unavailable when no worker is free in time.
        """
        request = {"op": "score", "questions": [question.as_list()], "texts": list(texts)}
        try:
            return [float(value) for value in (await self._fast.ask(request))["scores"]]
        except TextTooHard:
            self.quarantined += 1
        try:
            return [float(value) for value in (await self._slow.ask(request))["scores"]]
        except TextTooHard as error:
            self.killed += 1
            log.warning("scorer killed", dataset=question.name, reason=str(error))
            return [0.0] * len(texts)

    async def close(self) -> None:
        """End workers and zygote."""
        await self._zygote.close()
        self._fast.close()
        self._slow.close()
        self._maker.close()

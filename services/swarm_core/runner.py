"""Runs a process: settings, signals, supervised tasks, bounded teardown, truthful exit codes.

Works with `settings.load` and `log`. A process is `run("name", Settings, main)`; `main(service, settings)` sets
things up with `service.spawn` and returns. Exit 0 only when asked to stop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from swarm_core import log as logging_setup
from swarm_core.errors import EXIT_CONFIG, EXIT_FAILURE, ConfigError, FatalError
from swarm_core.log import get_logger
from swarm_core.settings import SwarmSettings, load

S = TypeVar("S", bound=SwarmSettings)
Main = Callable[["Service", S], Awaitable[None]]
CHECK_FLAG = "--check-settings"
_TEARDOWN_SECONDS = 8.0  # below Compose's 10 s between SIGTERM and SIGKILL


class Service:
    """The life of one process: `stop` is set by a signal or by the first task that ends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stop = asyncio.Event()
        self.log = get_logger("service")
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself refers to them weakly
        self._closers: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._failure: BaseException | None = None
        self.again = False

    def restart(self) -> None:
        """Stop in order, then start the same program anew in this process's place: other settings take effect."""
        self.again = True
        self.stop.set()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` supervised: if it raises, or returns before the process was asked to stop, the process fails."""
        task = asyncio.create_task(self._supervise(name, work), name=name)
        self._tasks.add(task)
        return task

    def on_close(self, name: str, close: Callable[[], Awaitable[None]]) -> None:
        """Call `close` at teardown; last registered first, all within the teardown budget."""
        self._closers.append((name, close))

    async def sleep(self, seconds: float) -> bool:
        """Wait `seconds` or until stopping; True means stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        except TimeoutError:
            return False
        return True

    def fail(self, error: BaseException) -> None:
        """End the process because of `error`; the first one decides the exit code."""
        if self._failure is None and not self.stop.is_set():
            self._failure = error
        self.stop.set()

    async def _supervise(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the supervisor's job: whatever ends a task ends the process
            self.fail(error)
        else:
            if not self.stop.is_set():
                self.fail(RuntimeError(f"task {name!r} ended by itself"))

    async def run(self, main: Awaitable[None]) -> int:
        """Set up by `main`, wait for the end, tear down. Returns the exit code."""
        self._watch_signals()
        setup = asyncio.ensure_future(main)
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({setup, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if setup.done() and not setup.cancelled() and (error := setup.exception()) is not None:
                self.fail(error)
            await stopped
            if not setup.done():
                setup.cancel()
        finally:
            await self._teardown()
        return self._exit_code()

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        self.log.info("stopping", signal=signal.Signals(number).name)
        self.again = False
        self.stop.set()

    async def _teardown(self) -> None:
        try:
            async with asyncio.timeout(_TEARDOWN_SECONDS):
                for name, close in reversed(self._closers):
                    try:
                        await close()
                    except Exception as error:  # noqa: BLE001 - one closer must not keep the others from running
                        self.log.warning("close failed", part=name, error=repr(error))
        except TimeoutError:
            self.log.warning("teardown took too long", seconds=_TEARDOWN_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)

    def _exit_code(self) -> int:
        error = self._failure
        if error is None:
            self.log.info("starting again" if self.again else "stopped")
            return 0
        if isinstance(error, FatalError):
            self.log.error(str(error))
            return error.exit_code
        self.log.crash("failed", error)
        return EXIT_FAILURE


def _check(settings_cls: type[SwarmSettings]) -> NoReturn:
    try:
        load(settings_cls, probe=False)
    except ConfigError as error:
        raise SystemExit(error) from error  # printed by Python, or read by swarm-check
    raise SystemExit(0)


def _usage(name: str) -> NoReturn:
    """Answer `--help`, and refuse every other argument: an operator's typing error must not start a second service."""
    asked = set(sys.argv[1:]) <= {"-h", "--help"}
    text = f"{name} takes no arguments; its settings are SWARM_* variables, all of them explained in .env.example."
    print(text if asked else f"{text} It was called with: {' '.join(sys.argv[1:])}", file=sys.stderr)
    sys.exit(0 if asked else EXIT_CONFIG)


def run(name: str, settings_cls: type[S], main: Main[S], *, parsed: bool = False) -> NoReturn:
    """Load settings, run `main` under a `Service`, exit with its code. The body of every console script.

    With `--check-settings` the settings are parsed and nothing else happens (see `swarm_core.check`). `parsed`: the
    caller has read the command line; otherwise there is nothing to read, and arguments are refused.
    """
    if CHECK_FLAG in sys.argv[1:]:
        _check(settings_cls)
    if sys.argv[1:] and not parsed:
        _usage(name)
    try:
        settings = load(settings_cls)
    except FatalError as error:
        logging_setup.setup(name)
        get_logger("settings").error(str(error))
        sys.exit(error.exit_code)
    logging_setup.setup(name, fmt=settings.log_format, level=settings.log_level)

    again = False

    async def body() -> int:
        nonlocal again
        service = Service(name)
        code = await service.run(main(service, settings))
        again = service.again and code == 0
        return code

    with asyncio.Runner() as runner:
        code = runner.run(body())
        # everything is closed and saved by now; a thread deep in native code must not delay the end for minutes
        sys.stdout.flush()
        sys.stderr.flush()
        if again:  # same pid: for Docker and for a parent process nothing has ended
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own program and arguments
        if threading.active_count() > 1:
            os._exit(code)
    sys.exit(code)

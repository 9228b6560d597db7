"""The service runner: truthful exit codes, supervised tasks, bounded teardown in reverse order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from swarm_core import runner
from swarm_core.errors import EXIT_WATCHDOG, ConfigError, FatalError
from swarm_core.runner import Service

Setup = Callable[[Service], Awaitable[None]]
SERVICES = Path(runner.__file__).parents[1]


async def life(setup: Setup) -> int:
    """Exit code of a service that `setup` sets up."""
    service = Service("sample")
    async with asyncio.timeout(20):
        return await service.run(setup(service))


async def forever() -> None:
    await asyncio.Event().wait()


async def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_with_0(number: signal.Signals) -> None:
    async def setup(service: Service) -> None:
        service.spawn("idle", forever())
        os.kill(os.getpid(), number)

    assert await life(setup) == 0


async def test_a_signal_during_a_slow_set_up_stops_with_0() -> None:
    async def setup(service: Service) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    began = time.monotonic()
    assert await life(setup) == 0
    assert time.monotonic() - began < 10


async def test_a_task_that_raises_ends_the_process_with_1() -> None:
    async def setup(service: Service) -> None:
        service.spawn("idle", forever())
        service.spawn("bad", raising(KeyError("x")))

    assert await life(setup) == 1


async def test_a_task_that_returns_early_ends_the_process_with_1() -> None:
    async def setup(service: Service) -> None:
        service.spawn("short", asyncio.sleep(0))

    assert await life(setup) == 1


async def test_a_task_that_returns_once_stopping_is_fine() -> None:
    async def setup(service: Service) -> None:
        async def work() -> None:
            await service.stop.wait()

        service.spawn("work", work())
        service.stop.set()

    assert await life(setup) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [(FatalError("a", "b"), 1), (ConfigError("a", "b"), 78), (FatalError("a", exit_code=EXIT_WATCHDOG), 70)],
)
async def test_a_fatal_error_gives_its_code(error: FatalError, code: int) -> None:
    async def from_task(service: Service) -> None:
        service.spawn("bad", raising(error))

    async def from_setup(service: Service) -> None:
        raise error

    assert await life(from_task) == code
    assert await life(from_setup) == code


async def test_the_first_failure_decides() -> None:
    async def setup(service: Service) -> None:
        service.fail(FatalError("first", exit_code=70))
        service.fail(ConfigError("second"))

    assert await life(setup) == 70


async def test_a_failure_after_the_signal_is_no_failure() -> None:
    async def setup(service: Service) -> None:
        async def work() -> None:
            await service.stop.wait()
            raise RuntimeError("half closed")

        service.spawn("work", work())
        os.kill(os.getpid(), signal.SIGTERM)

    assert await life(setup) == 0


async def test_closers_run_last_first_and_a_bad_one_stops_nobody() -> None:
    closed: list[str] = []

    async def setup(service: Service) -> None:
        async def close(name: str) -> None:
            closed.append(name)
            if name == "b":
                raise OSError("gone")

        for name in "abc":
            service.on_close(name, lambda name=name: close(name))
        service.stop.set()

    assert await life(setup) == 0
    assert closed == ["c", "b", "a"]


async def test_closers_run_after_a_failed_set_up() -> None:
    closed = asyncio.Event()

    async def setup(service: Service) -> None:
        async def close() -> None:
            closed.set()

        service.on_close("part", close)
        raise ConfigError("no")

    assert await life(setup) == 78
    assert closed.is_set()


async def test_tasks_still_run_while_closers_do() -> None:
    # a server finishes its requests while other parts close
    seen: list[bool] = []

    async def setup(service: Service) -> None:
        task = service.spawn("server", forever())

        async def close() -> None:
            seen.append(task.done())

        service.on_close("part", close)
        service.stop.set()

    await life(setup)
    assert seen == [False]


async def test_teardown_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_TEARDOWN_SECONDS", 0.2)

    async def setup(service: Service) -> None:
        service.on_close("stuck", forever)
        service.stop.set()

    began = time.monotonic()
    assert await life(setup) == 0
    assert time.monotonic() - began < 5


def test_teardown_fits_into_the_time_that_compose_gives() -> None:
    assert runner._TEARDOWN_SECONDS < 10


async def test_sleep_tells_whether_to_stop() -> None:
    service = Service("sample")
    assert await service.sleep(0.01) is False
    asyncio.get_running_loop().call_later(0.01, service.stop.set)
    began = time.monotonic()
    assert await service.sleep(30) is True
    assert time.monotonic() - began < 10


PROGRAM = """
    import asyncio, os, signal, threading, time
    from swarm_core.errors import FatalError
    from swarm_core.runner import run
    from swarm_core.settings import SwarmSettings

    class Settings(SwarmSettings):
        round_seconds: int = 10

    async def start(service, settings):
        threading.Thread(target=time.sleep, args=(60,)).start()  # native code that does not end by itself
        {body}

    run("sample", Settings, start)
"""


def run_program(body: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A real process around `run`."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM).format(body=body), *arguments],
        env={"PYTHONPATH": str(SERVICES), **environment}, capture_output=True, text=True, timeout=50,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", 0, "stopped"),
        ("raise FatalError('No disk.', 'make room', 5)", 5, "No disk. Remedy: make room"),
    ],
)
def test_exit_code_of_a_process_with_a_busy_thread(body: str, code: int, words: str) -> None:
    began = time.monotonic()
    ended = run_program(body)
    assert (ended.returncode, words in ended.stderr, "Traceback" in ended.stderr) == (code, True, False)
    assert time.monotonic() - began < 40


def test_a_crash_shows_its_stack_and_exits_1() -> None:
    ended = run_program("raise KeyError('planned by nobody')")
    assert ended.returncode == 1
    assert "planned by nobody" in ended.stderr
    assert "Traceback" in ended.stderr


def test_bad_settings_end_in_one_line_and_78() -> None:
    ended = run_program("pass", SWARM_ROUND_SECONDS="abc", SWARM_FOO="1")
    assert ended.returncode == 78
    assert len(ended.stderr.splitlines()) == 1
    assert "SWARM_ROUND_SECONDS" in ended.stderr
    assert "SWARM_FOO" in ended.stderr
    assert "Remedy:" in ended.stderr


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--modle=x", 78)])
def test_arguments_start_nothing(argument: str, code: int) -> None:
    ended = run_program("raise KeyError('started')", argument)
    assert ended.returncode == code
    assert "settings are SWARM_* variables" in ended.stderr
    assert ("--modle=x" in ended.stderr) == (code == 78)
    assert "started" not in ended.stderr

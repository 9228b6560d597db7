"""Pushes the newest checkpoint to the Hugging Face Hub, in the background, for those who asked for it.

What is uploaded comes from the disk (`checkpoint`, `export`), never from the trainer's memory, by a thread of its own:
a Hub that is slow, down or refuses delays no round. A push that failed is tried again with growing pauses, with what is
then the newest checkpoint. `HF_ENDPOINT` and `HF_HUB_OFFLINE` are read by huggingface_hub itself.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from swarm_core.errors import ConfigError, SwarmError
from swarm_core.hub_scope import may_write
from swarm_core.log import get_logger
from swarm_core.names import peer_name
from swarm_core.runner import Service
from swarm_core.settings import read_secret
from swarm_node.board import Board
from swarm_node.checkpoint import BASE, CheckpointStore
from swarm_node.export import export_checkpoint
from swarm_node.history import KEPT
from swarm_node.hub_client import set_timeouts
from swarm_node.model_card import CURVE, curve, model_card

_FIRST_PAUSE, _LONGEST_PAUSE = 15.0, 600.0
_LOOK_EVERY = 2.0
_START_SECONDS = 10.0  # that a start waits for the Hub
_LONGEST_NAME = 96
T = TypeVar("T")
log = get_logger("hub")


class HubUnavailable(SwarmError):
    """The Hub did not answer, or not in a useful way; try later."""


@dataclass(frozen=True)
class Account:
    """Whose token it is."""

    user: str


def check_token(token: str) -> Account:
    """Ask the Hub whose token it is.  Raises ConfigError when it may not write, HubUnavailable without an answer."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    set_timeouts()
    try:
        answer = HfApi(token=token).whoami()
    except OfflineModeIsEnabled as error:
        raise ConfigError(
            "SWARM_HUB_PUSH_STEPS asks for pushes while HF_HUB_OFFLINE is set.", "unset one of the two"
        ) from error
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403):
            raise ConfigError(
                "The Hub does not know the token in SWARM_HUB_TOKEN_FILE.", "make a new one with write permission"
            ) from error
        raise HubUnavailable(_short(error)) from error
    except Exception as error:  # the client's transport raises its own; a start must not depend on it
        raise HubUnavailable(_short(error)) from error
    if not may_write(answer):
        raise ConfigError(
            "The token in SWARM_HUB_TOKEN_FILE may only read.",
            "make one that may write, or set SWARM_HUB_PUSH_STEPS=0",
        )
    return Account(str(answer["name"]))


def repository_name(user: str, model: str, peer_id: str) -> str:
    """`<user>/<model>-Gensyn-Swarm-<animal_name>`, as upstream names it, in the characters that the Hub takes."""
    tail = f"-Gensyn-Swarm-{peer_name(peer_id).replace(' ', '_')}"
    last = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-.") or "model"
    return f"{user}/{last[: _LONGEST_NAME - len(tail)]}{tail}"


class Pusher:
    """Pushes when `every` rounds have passed since the last push. `pushed_round` is the newest round on the Hub."""

    def __init__(
        self,
        *,
        token_file: Path,
        every: int,
        model: str,
        store: CheckpointStore,
        config_hash: str,
        board: Board,
        settings: Mapping[str, Any],
        scratch: Path,
    ) -> None:
        self._token_file = token_file
        self._every = every
        self._model = model
        self._store = store
        self._config = config_hash
        self._board = board
        self._settings = dict(settings)
        self._scratch = scratch
        self._account: Account | None = None
        self._first_round: int | None = None
        self.pushed_round: int | None = None

    async def check(self) -> None:
        """At the start: refuse a token that cannot push; a Hub that is down is only told.  Raises ConfigError."""
        token = read_secret(self._token_file)
        try:
            self._account = await asyncio.wait_for(in_thread(lambda: check_token(token)), _START_SECONDS)
        except (HubUnavailable, TimeoutError) as error:
            log.warning("the Hub does not answer, the token is checked before the first push", error=_short(error))
        else:
            log.info("pushes go to the Hub", user=self._account.user, every_rounds=self._every)

    async def run(self, service: Service) -> None:
        """Push until the service stops."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # what a killed process left
        pause = _FIRST_PAUSE
        while not await service.sleep(_LOOK_EVERY):
            if not self._due():
                continue
            try:
                where, number = await in_thread(self._push)
            except ConfigError as error:
                pause = _LONGEST_PAUSE  # the token was exchanged for a bad one while training went on
                self._failed(error, pause)
            except Exception as error:  # noqa: BLE001 - whatever client, network or disk raise, training goes on without the push
                self._failed(error, pause)
            else:
                self.pushed_round, pause = number, _FIRST_PAUSE
                self._board.set(hub_pushed_round=number, hub_error="")
                log.info("pushed to the Hub", repository=where, round=number)
                continue
            if await service.sleep(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _failed(self, error: Exception, pause: float) -> None:
        failures = self._board.status.hub_failures + 1
        self._board.set(hub_failures=failures, hub_error=_short(error))
        log.warning("push to the Hub failed, training goes on", error=_short(error), again_in_seconds=pause)

    def _due(self) -> bool:
        """Whether `every` rounds have ended since the last push, or since the start for the first one."""
        now = self._board.status.training_round
        if self._first_round is None:
            self._first_round = now
        last = self._first_round if self.pushed_round is None else self.pushed_round
        return self._board.status.checkpoint_step is not None and now - last >= self._every

    def _push(self) -> tuple[str, int]:
        """Upload the newest checkpoint; repository and round."""
        from huggingface_hub import HfApi

        token = read_secret(self._token_file)
        if self._account is None:
            self._account = check_token(token)
        state = self._store.load_latest(self._config)
        if state is None:
            raise HubUnavailable("there is no intact checkpoint to push")
        peer_id = self._board.status.peer_id
        repository = repository_name(self._account.user, self._model, peer_id)
        records = self._board.history(KEPT)
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as name:
            folder = Path(name)
            export_checkpoint(state, self._store.home(self._config) / BASE, folder)
            card = model_card(repository, self._model, peer_name(peer_id), records, self._settings)
            (folder / "README.md").write_text(card, encoding="utf-8")
            (folder / CURVE).write_text(curve(records), encoding="utf-8")
            api = HfApi(token=token)
            api.create_repo(repository, exist_ok=True)
            api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message=f"round {state.round}, optimiser step {state.optimizer_steps}",
            )
        return repository, state.round


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a daemon thread: unlike the executor's, it does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        caught: BaseException | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed to the caller
            caught = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, caught)

    threading.Thread(target=run, name="hub", daemon=True).start()
    return await future


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__

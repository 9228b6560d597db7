"""What the owner chose on the page, as the login service last told: asked once a round, kept on disk.

The environment is stronger than a choice. A change of model or Hub push is followed by starting again between two
rounds (`Service.restart`); the market's answer counts at once. A choice that cannot be followed never stops a node: it
goes on with its default and says so.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from swarm_core.choices import HUB_PUSH_STEPS, HUB_TOKEN_NAME, NodeChoices
from swarm_core.client import ServiceClient
from swarm_core.errors import Refused, SwarmError, Unavailable
from swarm_core.files import read_json, write_json
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_node.board import Board
from swarm_node.settings import NodeSettings

_CALL_SECONDS = 2.0
_WATCH_SECONDS = 5.0
log = get_logger("choices")


class Choices:
    """Reads and remembers. `started_with` is what this process was started with."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._path = settings.state_dir / "choices.json"
        self._client: ServiceClient | None = None
        self.current = self._read()
        self.started_with = self.current

    async def begin(self) -> NodeSettings:
        """Ask once, then the settings with the choices in them, where the environment says nothing."""
        await self.refresh()
        self.started_with = self.current
        return self.applied()

    async def refresh(self) -> None:
        """Ask the login service; without an answer the last one holds."""
        try:
            if self._client is None:
                self._client = ServiceClient(self._settings.login_url, token=self._token())
            told = NodeChoices.model_validate(await self._client.get_json("/api/node-settings", deadline=_CALL_SECONDS))
        except Refused as error:
            if error.status == 401:  # the login service has a new token: read it again next time
                await self.close()
            return
        except (SwarmError, ValidationError) as error:
            log.debug("choices not read", error=str(error))
            return
        if told != self.current:
            log.info("the owner's choices", revision=told.revision, model=told.model or "default", hub=told.hub_push)
            self.current = told
            self._write()

    @property
    def restart_needed(self) -> bool:
        """Whether model or Hub push differ from what this process was started with, and the page decides them."""
        before, now = self._effective(self.started_with), self._effective(self.current)
        return now.needs_restart(before)

    @property
    def environment_model(self) -> str:
        """What the environment says about the model, "" for nothing."""
        return self._settings.model

    @property
    def pushes(self) -> bool:
        """Whether the page, and not the environment, asked for pushes to the Hub."""
        return self._effective(self.started_with).hub_push

    @property
    def plays_market(self) -> bool:
        """Whether to bet: the environment, then the page, then no."""
        if "play_market" in self._settings.model_fields_set or self.current.market is None:
            return self._settings.play_market == 1
        return self.current.market

    def applied(self) -> NodeSettings:
        """The settings with the choices that the environment leaves open."""
        choice, update = self._effective(self.started_with), dict[str, Any]()
        if choice.model:
            update["model"] = choice.model
        if choice.hub_push:
            update["hub_push_steps"] = HUB_PUSH_STEPS
            update["hub_token_file"] = self._settings.api_token_file.parent / HUB_TOKEN_NAME
        return self._settings.model_copy(update=update)

    def _effective(self, choices: NodeChoices) -> NodeChoices:
        """`choices` without what the environment decides."""
        decided: dict[str, Any] = {}
        if self._settings.model:
            decided["model"] = ""
        if "hub_push_steps" in self._settings.model_fields_set:
            decided["hub_push"] = False
        return choices.model_copy(update=decided)

    async def follow(self, service: Service, board: Board) -> bool:
        """Between two rounds: whether the process starts again to follow a change."""
        await self.refresh()
        return self._act(service, board)

    async def watch(self, service: Service, board: Board) -> None:
        """The same while the worker waits for a round, which may take long. A round under way is left alone."""
        while not await service.sleep(_WATCH_SECONDS):
            if board.status.phase == "waiting":
                await self.refresh()
                if board.status.phase == "waiting":  # still: nothing is awaited between this look and the restart
                    self._act(service, board)

    def _act(self, service: Service, board: Board) -> bool:
        if not self.restart_needed:
            board.set(choices_revision=self.current.revision)
        elif not service.stop.is_set():
            log.info("the owner chose otherwise, starting again", revision=self.current.revision)
            service.restart()
        return service.again

    async def close(self) -> None:
        """Close the connection pool."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _token(self) -> str:
        try:
            return self._settings.api_token_file.read_text().strip()
        except OSError as error:
            raise Unavailable(f"the token {self._settings.api_token_file} cannot be read yet") from error

    def _read(self) -> NodeChoices:
        try:
            stored = read_json(self._path)
            return NodeChoices() if stored is None else NodeChoices.model_validate(stored)
        except (OSError, ValueError, ValidationError) as error:
            log.warning("remembered choices are damaged, the login service is asked anew", error=str(error)[:200])
            return NodeChoices()

    def _write(self) -> None:
        try:
            write_json(self._path, self.current.model_dump(mode="json"))
        except OSError as error:
            log.warning("choices not remembered", error=str(error))

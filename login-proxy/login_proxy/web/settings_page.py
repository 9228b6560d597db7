"""Page `/settings`: the three questions. The environment is stronger, and the page says so. Works with `choices`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from login_proxy.choices import BadToken
from login_proxy.texts import access as access_texts
from login_proxy.texts import settings as texts
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site
from login_proxy.web.visit import Visit
from swarm_core.choices import MODEL_PATTERN
from swarm_core.errors import Unavailable
from swarm_core.model_catalogue import HUB_MODELS
from swarm_core.status import NodeStatus

_GIGABYTE = 1_000_000_000
_OWN = "own"
_LISTED = ("", "auto", "embedded", *(model.name for model in HUB_MODELS))


@dataclass(frozen=True)
class ModelRow:
    """One model of the list; `off` when it cannot run here."""

    name: str
    note: str
    off: bool


class SettingsPages:
    """Model, Hub, market."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node

    def routes(self) -> list[Route]:
        """Who may call what."""
        fields = ("model", "own_model", "hub", "hub_token", "market")
        return [
            Route("GET", "/settings", Access.OWNER, self.show, nav="nav_settings"),
            Route("POST", "/settings", Access.OWNER, self.save, form=fields),
        ]

    async def show(self, visit: Visit) -> Response:
        """The questions with the present answers."""
        return await self._page(visit)

    async def save(self, visit: Visit) -> Response:
        """Check the answers and store them all, or none."""
        form = await visit.form()
        if form is None:
            return await self._page(visit, HTTPStatus.BAD_REQUEST, access_texts.BAD_FORM)
        store, fixed, token = self._node.choices, self.fixed(), form.get("hub_token", "").strip()
        answers: dict[str, Any] = {"answered": True}
        if "model" not in fixed:
            answers["model"] = form.get("own_model", "").strip() if form.get("model") == _OWN else form.get("model", "")
            if re.fullmatch(MODEL_PATTERN, answers["model"]) is None or form.get("model") not in (_OWN, *_LISTED):
                return await self._page(visit, HTTPStatus.BAD_REQUEST, texts.MODEL_BAD)
        if "market" not in fixed:
            answers["market"] = form.get("market") == "yes"
        if "hub" not in fixed:
            answers["hub_push"] = form.get("hub") == "yes"
            if answers["hub_push"] and not token and not store.token_file.exists():
                return await self._page(visit, HTTPStatus.BAD_REQUEST, texts.TOKEN_MISSING)
        try:
            if answers.get("hub_push") and token:
                await store.check_token(token)
                store.store_token(token)
                answers["hub_token"] = store.current.hub_token + 1
            elif answers.get("hub_push") is False:
                store.forget_token()
            changed = store.change(**answers)
        except BadToken as error:
            return await self._page(visit, HTTPStatus.BAD_REQUEST, texts.TOKEN_BAD.format(reason=error))
        except Unavailable as error:
            return await self._page(visit, HTTPStatus.CONFLICT, texts.HUB_SILENT.format(reason=error))
        except OSError as error:
            sentence = texts.NOT_STORED.format(reason=error.strerror or error)
            return await self._page(visit, HTTPStatus.CONFLICT, sentence)
        if changed:
            told = {key: value for key, value in answers.items() if key in ("model", "hub_push", "market")}
            self._node.audit.add("settings_changed", ", ".join(f"{k}={v}" for k, v in told.items()), visit.address)
        return await self._page(visit, saved=texts.SAVED)

    def fixed(self) -> dict[str, str]:
        """Question → the sentence that the environment decides it."""
        settings = self._node.settings
        variables = {
            "model": settings.model and "SWARM_MODEL",
            "hub": "hub_push_steps" in settings.model_fields_set and "SWARM_HUB_PUSH_STEPS",
            "market": "play_market" in settings.model_fields_set and "SWARM_PLAY_MARKET",
        }
        return {key: texts.BY_ENVIRONMENT.format(variable=name) for key, name in variables.items() if name}

    async def _page(
        self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, error: str = "", saved: str = ""
    ) -> Response:
        worker = next((view.worker for view in await self._node.peers.views() if view.worker is not None), None)
        choices, settings = self._node.choices.current, self._node.settings
        model = settings.model or choices.model
        return self._site.render(
            visit, "settings.html", status, error=error, saved=saved, fixed=self.fixed(), choices=choices,
            model=model, listed=model in _LISTED, rows=model_rows(worker), worker_known=worker is not None,
            problem=worker.choice_error if worker is not None else "",
            now=texts.RUNS_NOW.format(model=worker.model, device=worker.device) if worker is not None else "",
            has_token=self._node.choices.token_file.exists(),
            hub=settings.hub_push_steps > 0 if "hub" in self.fixed() else choices.hub_push,
            market=settings.play_market == 1 if "market" in self.fixed() else bool(choices.market),
        )  # fmt: skip


def model_rows(worker: NodeStatus | None) -> list[ModelRow]:
    """Upstream's five with what they need; greyed out where `worker` has less."""
    have = None if worker is None else (worker.gpu_memory or worker.memory_limit)
    rows = []
    for model in HUB_MODELS:
        need = f"{model.need_bytes / _GIGABYTE:.0f}"
        off = have is not None and have < model.need_bytes
        note = (
            texts.TOO_LITTLE.format(need=need, have=f"{(have or 0) / _GIGABYTE:.0f}")
            if off
            else texts.NEEDS.format(need=need)
        )
        rows.append(ModelRow(model.name, note, off))
    return rows

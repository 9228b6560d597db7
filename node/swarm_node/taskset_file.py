"""Reads a task set's YAML: which datasets, how often each, how hard, and how rewards are formed.

The format is described in docs/tasks.md. Works with `tasks`, which draws from what is read here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from swarm_core.errors import ConfigError
from swarm_node.environment import Environment

LEVEL_MARK = "@"
MAX_LEVELS = 32
_FIELDS = frozenset({"datasets", "format_reward", "curriculum"})
_ROW_FIELDS = frozenset({"name", "weight", "params", "levels"})
_REMEDY = "See docs/tasks.md for the format: datasets, each with name, weight, params and levels."


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset of a task set: its name, the weight it is drawn with, its configuration.

    `levels` are further configurations, each laid over `params`, from easy to hard; level 0 is `params` alone.
    """

    name: str
    weight: float
    params: Mapping[str, Any]
    levels: tuple[Mapping[str, Any], ...] = ()

    def params_of(self, level: int) -> Mapping[str, Any]:
        """The configuration of a level. KeyError: there is none."""
        if level == 0:
            return self.params
        if not 0 < level <= len(self.levels):
            raise KeyError(f"{self.name}{LEVEL_MARK}{level}")
        return {**self.params, **self.levels[level - 1]}


@dataclass(frozen=True)
class CurriculumSpec:
    """When a dataset's level changes: by the mean reward of its last `window` own completions at that level."""

    promote: float = 0.8
    demote: float = 0.2
    window: int = 64


@dataclass(frozen=True)
class TaskSetFile:
    """What a file says. `identity` changes when anything in it does."""

    identity: str
    datasets: tuple[DatasetSpec, ...]
    format_reward: float = 0.0
    curriculum: CurriculumSpec | None = field(default=None)


def read(name_or_path: str, environments: Sequence[Environment]) -> TaskSetFile:
    """A shipped task set by name, or any file by path.  Raises ConfigError that names the first thing that is wrong."""
    shipped = resources.files("swarm_node") / "tasksets" / f"{name_or_path}.yaml"
    plain_name = "/" not in name_or_path and shipped.is_file()
    try:
        text = shipped.read_text() if plain_name else Path(name_or_path).read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"The task set {name_or_path!r} cannot be read ({type(error).__name__}).",
            "Use embedded, rgym or the path of a YAML file.",
        ) from error
    what = f"The task set {name_or_path!r}"
    if not isinstance(document, dict) or not isinstance(document.get("datasets"), list) or not document["datasets"]:
        raise ConfigError(f"{what} has no list of datasets.", _REMEDY)
    if not set(document) <= _FIELDS:
        raise ConfigError(f"{what} has fields beside {', '.join(sorted(_FIELDS))}.", _REMEDY)
    names = frozenset[str]().union(*(environment.names for environment in environments))
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return TaskSetFile(
        identity=name_or_path if plain_name else f"{name_or_path}#{digest}",
        datasets=_datasets(what, document["datasets"], names),
        format_reward=_share(what, "format_reward", document.get("format_reward", 0.0)),
        curriculum=_curriculum(what, document.get("curriculum")),
    )


def _datasets(what: str, rows: list[Any], names: frozenset[str]) -> tuple[DatasetSpec, ...]:
    datasets: list[DatasetSpec] = []
    for row in rows:
        if not isinstance(row, dict) or not set(row) <= _ROW_FIELDS:
            raise ConfigError(f"{what} has a dataset with fields beside {', '.join(sorted(_ROW_FIELDS))}.", _REMEDY)
        dataset, weight = row.get("name"), row.get("weight", 1)
        params, levels = row.get("params") or {}, row.get("levels") or []
        if dataset not in names:
            raise ConfigError(
                f"{what} has dataset {dataset!r}, which is not known to score the text of strangers safely.",
                f"Choose among {', '.join(sorted(names))}.",
            )
        if not isinstance(weight, int | float) or not 0 < weight < float("inf") or not isinstance(params, dict):
            raise ConfigError(f"{what} has dataset {dataset!r}, which needs a positive weight and params.", _REMEDY)
        if not isinstance(levels, list) or len(levels) > MAX_LEVELS or not all(isinstance(v, dict) for v in levels):
            raise ConfigError(f"Dataset {dataset!r}: levels are a list of at most {MAX_LEVELS} params.", _REMEDY)
        if dataset in {d.name for d in datasets} or any({"seed", "size"} & set(v) for v in [params, *levels]):
            raise ConfigError(f"{what} has dataset {dataset!r}, which comes twice or sets seed or size.", _REMEDY)
        datasets.append(DatasetSpec(dataset, float(weight), params, tuple(levels)))
    return tuple(datasets)


def _share(what: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"{what}: {name} must be a number between 0 and 1.", _REMEDY)
    return float(value)


def _curriculum(what: str, value: Any) -> CurriculumSpec | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not set(value) <= {"promote", "demote", "window"}:
        raise ConfigError(f"{what}: curriculum takes promote, demote and window.", _REMEDY)
    made = CurriculumSpec(**value)
    promote, demote = _share(what, "promote", made.promote), _share(what, "demote", made.demote)
    if demote >= promote or isinstance(made.window, bool) or not isinstance(made.window, int) or made.window < 1:
        raise ConfigError(f"{what}: demote must be below promote, and window at least 1.", _REMEDY)
    return made

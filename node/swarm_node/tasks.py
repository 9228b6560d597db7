"""Questions: which reasoning-gym datasets a node draws from, and how a (name, seed) becomes a question.

A task is named by its dataset and seed alone, so a peer that receives one makes the question and the answer key again
from its own copy of the dataset and believes nothing. Works with `rewards` (which scores a task) and `tasksets/*.yaml`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from swarm_core.errors import ConfigError
from swarm_core.log import get_logger
from swarm_gym.questions import is_held_out as is_held_out
from swarm_gym.questions import make_entry
from swarm_gym.scoring import AUDITED_DATASETS

log = get_logger("tasks")
MAX_SEED = 2**32 - 1
MAX_DRAWS = 1000  # a dataset of which this many questions in a row are on the wrong side of the split is unusable


@dataclass(frozen=True)
class Task:
    """One question. `entry` is reasoning-gym's own record, made here; `answer` is "" where many answers are right.

    `params` is the configuration of its dataset, which some verifiers ask for (a tolerance).
    """

    name: str
    seed: int
    question: str
    answer: str
    entry: Mapping[str, Any]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_held_out(self) -> bool:
        return is_held_out(self.question)

    @property
    def answerable(self) -> bool:
        """False for a defect of reasoning-gym 0.1.25: base_conversion may have an empty answer key for the number 0."""
        return bool(self.answer or self.entry["metadata"].get("example_answer"))


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset of a task set: reasoning-gym's name, the weight it is drawn with, its configuration."""

    name: str
    weight: float
    params: Mapping[str, Any]


@dataclass(frozen=True)
class TaskSet:
    """The datasets a node trains on. `TaskSet.load("embedded")`, `TaskSet.load("rgym")` or a path of a YAML file."""

    name: str
    datasets: tuple[DatasetSpec, ...]

    @classmethod
    def load(cls, name_or_path: str) -> TaskSet:
        """Read a shipped task set by name, or any YAML file by path, and try every dataset once.

        Raises:
            ConfigError: no such set, a malformed file, an unknown dataset or one whose scorer is not audited.
        """
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
        task_set = cls(name_or_path, _parse(name_or_path, document))
        for dataset in task_set.datasets:
            try:
                task_set.make(dataset.name, 0)
            except (TypeError, ValueError, AssertionError) as error:
                raise ConfigError(
                    f"Dataset {dataset.name!r} of the task set {name_or_path!r} refuses its params: {error}.",
                    "Use the field names of that dataset's reasoning-gym configuration.",
                ) from error
        return task_set

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dataset.name for dataset in self.datasets)

    def make(self, name: str, seed: int) -> Task:
        """The one question that (name, seed) stands for; the same on every machine. KeyError: not in this set."""
        params = next((d.params for d in self.datasets if d.name == name), None)
        if params is None:
            raise KeyError(name)
        return _make(name, seed, params)

    def sample(self, swarm: str, peer_id: str, round: int, k: int) -> list[Task]:
        """`k` training questions of a peer's round, with replacement; the same arguments give the same questions."""
        return self._draw(_rng("train", swarm, peer_id, round), k, held_out=False)

    def held_out(self, k: int, seed: int) -> list[Task]:
        """`k` questions that `sample` never gives, for evaluation."""
        return self._draw(_rng("held-out", seed), k, held_out=True)

    def recompute(self, name: str, seed: int) -> Task | None:
        """The task a peer says it used, or None when this set does not have it or it is held out here."""
        if name not in self.names or not 0 <= seed <= MAX_SEED:
            return None
        try:
            task = self.make(name, seed)
        except Exception as error:  # noqa: BLE001 - the seed is a stranger's; a generator that trips over it makes no task
            log.debug("no task from this seed", name=name, seed=seed, error=repr(error))
            return None
        return None if task.is_held_out else task

    def verify(self, name: str, seed: int, question: str, answer: str) -> Task | None:
        """Our own task for a peer's claim, or None when its question or answer key differs from ours."""
        task = self.recompute(name, seed)
        return task if task is not None and (task.question, task.answer) == (question, answer) else None

    def _draw(self, rng: random.Random, k: int, *, held_out: bool) -> list[Task]:
        weights = [dataset.weight for dataset in self.datasets]
        return [self._draw_one(rng, d.name, held_out) for d in rng.choices(self.datasets, weights, k=k)]

    def _draw_one(self, rng: random.Random, name: str, held_out: bool) -> Task:
        for _ in range(MAX_DRAWS):
            task = self.make(name, rng.randint(0, MAX_SEED))
            if task.is_held_out == held_out and task.answerable:
                return task
        raise ConfigError(
            f"Dataset {name!r} has no question on the {'held-out' if held_out else 'training'} side of the split.",
            "Give it params with more distinct questions.",
        )


def _rng(*parts: object) -> random.Random:
    """A generator seeded by all parts; `random.Random(str)` hashes the string with SHA-512."""
    return random.Random("\x1f".join(map(str, parts)))


def _make(name: str, seed: int, params: Mapping[str, Any]) -> Task:
    entry = make_entry(name, seed, params)
    return Task(name, seed, entry["question"], entry["answer"] or "", entry, params)


def _parse(name: str, document: Any) -> tuple[DatasetSpec, ...]:
    """The datasets of a task set's file. Raises ConfigError that names the first thing that is wrong."""
    remedy = "See swarm_node/tasksets/embedded.yaml for the format: datasets, each with name, weight and params."
    rows = document.get("datasets") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"The task set {name!r} has no list of datasets.", remedy)
    datasets: list[DatasetSpec] = []
    for row in rows:
        if not isinstance(row, dict) or not set(row) <= {"name", "weight", "params"}:
            raise ConfigError(f"The task set {name!r} has a dataset with fields beside name, weight, params.", remedy)
        dataset, weight, params = row.get("name"), row.get("weight", 1), row.get("params") or {}
        if dataset not in AUDITED_DATASETS:
            raise ConfigError(
                f"Dataset {dataset!r} of the task set {name!r} is not known to score the text of strangers safely.",
                f"Choose among {', '.join(sorted(AUDITED_DATASETS))}.",
            )
        if not isinstance(weight, int | float) or not 0 < weight < float("inf") or not isinstance(params, dict):
            raise ConfigError(
                f"Dataset {dataset!r} of the task set {name!r} needs a positive weight and params.", remedy
            )
        if dataset in {d.name for d in datasets} or {"seed", "size"} & set(params):
            raise ConfigError(f"Dataset {dataset!r} of the task set {name!r} comes twice or sets seed or size.", remedy)
        datasets.append(DatasetSpec(dataset, float(weight), params))
    return tuple(datasets)

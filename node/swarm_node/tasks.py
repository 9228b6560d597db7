"""Questions: which datasets a node draws from, and how a (name, seed) becomes a question.

A task is named by its dataset, level and seed alone (`gcd`, `gcd@2`), so a peer that receives one makes the question
and the answer key again from its own copy of the dataset and believes nothing. Works with `environment` (which makes
and scores), `taskset_file` (what a YAML says), `curriculum` (levels) and `rewards`.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swarm_core.errors import ConfigError
from swarm_core.log import get_logger
from swarm_gym.questions import is_held_out as is_held_out
from swarm_node.curriculum import Curriculum
from swarm_node.environment import REASONING_GYM, Environment
from swarm_node.taskset_file import LEVEL_MARK, DatasetSpec, TaskSetFile, read

log = get_logger("tasks")
MAX_SEED = 2**32 - 1
MAX_QUESTIONS = 64  # of a peer in a round
_CHECKED_DRAWS = 64  # how far into the sequence of a question `owns` looks; each draw is on the right side 4 times in 5
MAX_DRAWS = 1000  # a dataset of which this many questions in a row are on the wrong side of the split is unusable


@dataclass(frozen=True)
class Task:
    """One question. `entry` is the environment's own record, made here; `answer` is "" where many answers are right.

    `params` is the configuration of its dataset, which some verifiers ask for (a tolerance). `format_reward` is the
    share of the reward that is given for the form of the answer.
    """

    name: str
    seed: int
    question: str
    answer: str
    entry: Mapping[str, Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    environment: Environment = field(default=REASONING_GYM, compare=False, repr=False)
    format_reward: float = 0.0

    @property
    def is_held_out(self) -> bool:
        return is_held_out(self.question)

    @property
    def dataset(self) -> str:
        """Its dataset, without the level."""
        return self.name.partition(LEVEL_MARK)[0]

    @property
    def level(self) -> int:
        """Its level."""
        return int(self.name.partition(LEVEL_MARK)[2] or 0)

    @property
    def answerable(self) -> bool:
        """False for a defect of reasoning-gym 0.1.25: base_conversion may have an empty answer key for the number 0."""
        if self.environment is not REASONING_GYM:
            return True
        return bool(self.answer or self.entry["metadata"].get("example_answer"))


class TaskSet:
    """The datasets a node trains on. `TaskSet.load("embedded")`, `TaskSet.load("rgym")` or a path of a YAML file.

    `identity` is for the config hash: it changes when the file does.
    """

    def __init__(self, name: str, file: TaskSetFile, environments: Sequence[Environment] = (REASONING_GYM,)) -> None:
        self.name = name
        self.identity = file.identity
        self.datasets = file.datasets
        self.curriculum = Curriculum(file.datasets, file.curriculum)
        self._format_reward = file.format_reward
        self._by_name: dict[str, tuple[DatasetSpec, Environment]] = {
            dataset.name: (dataset, next(made for made in environments if dataset.name in made.names))
            for dataset in file.datasets
        }

    @classmethod
    def load(cls, name_or_path: str, environments: Sequence[Environment] = ()) -> TaskSet:
        """Read a shipped task set by name, or any YAML file by path, and try every level of every dataset once.

        `environments` are asked for a dataset before reasoning-gym is.

        Raises:
            ConfigError: no such set, a malformed file, an unknown dataset or one whose scorer is not audited.
        """
        sources = (*environments, REASONING_GYM)
        task_set = cls(name_or_path, read(name_or_path, sources), sources)
        for dataset in task_set.datasets:
            try:
                for level in range(len(dataset.levels) + 1):
                    task_set.make(_name(dataset, level), 0)
            except (TypeError, ValueError, AssertionError) as error:
                raise ConfigError(
                    f"Dataset {dataset.name!r} of the task set {name_or_path!r} refuses its params: {error}.",
                    "Use the field names of that dataset's configuration.",
                ) from error
        return task_set

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dataset.name for dataset in self.datasets)

    def make(self, name: str, seed: int) -> Task:
        """The one question that (name, seed) stands for; the same on every machine. KeyError: not in this set."""
        plain, mark, level = name.partition(LEVEL_MARK)
        dataset, environment = self._by_name[plain]
        if mark and (not level.isascii() or not level.isdecimal() or level.startswith("0") or len(level) > 2):
            raise KeyError(name)  # one name for one task: no "gcd@02", no "gcd@0"
        params = dataset.params_of(int(level or 0))
        made = environment.make(plain, seed, params)
        return Task(name, seed, made.question, made.answer, made.entry, params, environment, self._format_reward)

    def sample(self, swarm: str, peer_id: str, round: int, k: int) -> list[Task]:
        """`k` training questions of a peer's round, with replacement, at the curriculum's levels.

        The same arguments and levels give the same questions.
        """
        sequences = [_rng("train", swarm, peer_id, round, index) for index in range(k)]
        return self._draw(_rng("train", swarm, peer_id, round), sequences, held_out=False)

    def held_out(self, k: int, seed: int) -> list[Task]:
        """`k` questions that `sample` never gives, for evaluation."""
        rng = _rng("held-out", seed)
        return self._draw(rng, [rng] * k, held_out=True)

    def recompute(self, name: str, seed: int) -> Task | None:
        """The task a peer says it used, or None when this set does not have it or it is held out here."""
        if not 0 <= seed <= MAX_SEED:
            return None
        try:
            task = self.make(name, seed)
        except KeyError:
            return None
        except Exception as error:  # noqa: BLE001 - the seed is a stranger's; a generator that trips over it makes no task
            log.debug("no task from this seed", name=name, seed=seed, error=repr(error))
            return None
        return None if task.is_held_out else task

    def verify(self, name: str, seed: int, question: str, answer: str) -> Task | None:
        """Our own task for a peer's claim, or None when its question or answer key differs from ours."""
        task = self.recompute(name, seed)
        return task if task is not None and (task.question, task.answer) == (question, answer) else None

    def _draw(self, rng: random.Random, sequences: Sequence[random.Random], *, held_out: bool) -> list[Task]:
        weights = [dataset.weight for dataset in self.datasets]
        chosen = rng.choices(self.datasets, weights, k=len(sequences))
        return [self._draw_one(seeds, d, held_out) for seeds, d in zip(sequences, chosen, strict=True)]

    def _draw_one(self, rng: random.Random, dataset: DatasetSpec, held_out: bool) -> Task:
        name = _name(dataset, self.curriculum.level(dataset.name))
        for _ in range(MAX_DRAWS):
            task = self.make(name, rng.randint(0, MAX_SEED))
            if task.is_held_out == held_out and task.answerable:
                return task
        raise ConfigError(
            f"Dataset {name!r} has no question on the {'held-out' if held_out else 'training'} side of the split.",
            "Give it params with more distinct questions.",
        )


def _name(dataset: DatasetSpec, level: int) -> str:
    return f"{dataset.name}{LEVEL_MARK}{level}" if level else dataset.name


def owns(swarm: str, peer_id: str, round: int, seed: int) -> bool:
    """Whether `seed` is one that `sample` may give this peer in this round, whatever its task set and its k.

    So a question belongs to one peer, and a copy of another peer's group is known for one by everybody.
    """
    return seed in _seeds(swarm, peer_id, round)


@functools.lru_cache(maxsize=256)
def _seeds(swarm: str, peer_id: str, round: int) -> frozenset[int]:
    sequences = (_rng("train", swarm, peer_id, round, index) for index in range(MAX_QUESTIONS))
    return frozenset(seeds.randint(0, MAX_SEED) for seeds in sequences for _ in range(_CHECKED_DRAWS))


def _rng(*parts: object) -> random.Random:
    """A generator seeded by all parts; `random.Random(str)` hashes the string with SHA-512."""
    return random.Random("\x1f".join(map(str, parts)))

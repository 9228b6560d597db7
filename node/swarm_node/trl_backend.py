"""`SWARM_TRAINER=trl`: the groups of a round trained by TRL's GRPOTrainer instead of by `train.Trainer`.

For those who need TRL's loss types, Liger kernels or DeepSpeed. TRL owns its loop, so it runs in a thread of its own
and meets the round at its documented extension points: `rollout_func` waits for the next groups, `reward_funcs` hands
over their advantages (`trl_rows`), a callback tells when the step is done. Generation, tasks, exchange, status and
checkpoints are those of the native backend, which is several times faster (docs/trl.md).
"""

from __future__ import annotations

import queue
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from swarm_core.errors import ConfigError, SwarmError
from swarm_core.log import get_logger
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.memory import is_out_of_memory
from swarm_node.optimizer import Moments, adamw, moments, restore_moments
from swarm_node.packing import TrainingGroup
from swarm_node.train import StepMetrics
from swarm_node.trl_rows import RowBatch, arrange

log = get_logger("trl")
_PROMPTS = 1000  # TRL wants a dataset; its prompts are never looked at
_NEVER_ENDING = 10**9
# fields of GRPOConfig that follow from the node's own settings
_OURS = frozenset(
    {"output_dir", "max_steps", "num_generations", "generation_batch_size", "steps_per_generation", "shuffle_dataset"}
    | {"scale_rewards", "per_device_train_batch_size", "gradient_accumulation_steps", "report_to", "save_strategy"}
    | {"num_iterations", "learning_rate", "logging_steps", "disable_tqdm", "use_cpu", "remove_unused_columns"}
)


class TrlFailed(SwarmError):
    """TRL's thread ended; the round fails, and so will the next ones until the process is started anew."""


class _Stop(Exception):
    """Leaves TRL's loop."""


@dataclass
class _Job:
    """A round's rows on their way through TRL."""

    batch: RowBatch
    steps: int
    scale: float
    done: threading.Event = field(default_factory=threading.Event)
    logs: list[dict[str, float]] = field(default_factory=list)


def read_overrides(path: str) -> dict[str, Any]:
    """Fields of TRL's GRPOConfig from a YAML file; none for an empty path.  Raises ConfigError."""
    if not path:
        return {}
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"SWARM_TRL_CONFIG {path} cannot be read ({type(error).__name__}).", "see docs/trl.md"
        ) from error
    if not isinstance(document, dict) or set(document) & _OURS:
        taken = ", ".join(sorted(set(document) & _OURS)) if isinstance(document, dict) else "a list"
        raise ConfigError(
            f"SWARM_TRL_CONFIG {path} sets what the node itself decides ({taken}).",
            "remove it; the node's own settings are in .env.example",
        )
    return document


class TrlTrainer:
    """Owns a GRPOTrainer, its thread and the optimiser."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        hyper: Hyperparameters,
        device: DeviceChoice,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._hyper = hyper
        self._blocks = hyper.num_questions + hyper.num_external
        self._optimizer = adamw(model, hyper)
        self.optimizer_steps = 0
        self.micro_batch_tokens = hyper.micro_batch_tokens  # TRL is built anew where a change means other batches
        self.recomputes = False
        self._device, self._overrides = device, dict(overrides or {})
        self._filler = int(tokenizer.eos_token_id)
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._job: _Job | None = None
        self._failure: BaseException | None = None
        self._waiting = threading.Event()
        self._scratch = tempfile.TemporaryDirectory(prefix="swarm-trl-")
        try:
            self._start()
        except BaseException:
            self._scratch.cleanup()
            raise

    def _start(self) -> None:
        """Build TRL's trainer for the present micro-batch and let its loop run until it waits for groups."""
        self._failure = None
        self._waiting.clear()
        self._at_once = self._rows_at_once()
        self._trainer = self._build(self._device, self._overrides)
        self._thread = threading.Thread(target=self._run, name="trl", daemon=True)
        self._thread.start()
        # TRL seeds the global generators while it starts; nothing else should draw from them meanwhile
        self._wait_for_loop()

    def _wait_for_loop(self) -> None:
        """Return when TRL's loop waits for groups, or has ended."""
        while not self._waiting.wait(1.0) and self._thread.is_alive():
            pass

    def _rows_at_once(self) -> int:
        return rows_at_once(
            self._blocks * self._hyper.num_generations, self._hyper.max_completion_length, self.micro_batch_tokens
        )

    @property
    def model(self) -> Any:
        """The model being trained."""
        return self._model

    def step(self, groups: Sequence[TrainingGroup]) -> StepMetrics:
        """Train on `groups` as `train.Trainer.step` does.

        Raises TrlFailed when TRL's loop has ended, or what ended it if that was want of memory: with a smaller
        `micro_batch_tokens` the next step begins with a new loop.
        """
        started = time.perf_counter()
        if self._rows_at_once() != self._at_once:
            self._end_loop()
            with torch.random.fork_rng(devices=[]):  # a round's draws are the same wherever TRL was built
                self._start()
        informative = [index for index, group in enumerate(groups) if any(group.advantages)]
        if not informative:
            return StepMetrics(0, 0, 0, 0, 0, 0, 0, len(groups), 0, 0, time.perf_counter() - started)
        used = [groups[index] for index in informative]
        batch = arrange(used, self._hyper.num_generations, self._blocks, self._filler)
        if batch.left_out:
            log.warning("completions left out, TRL's batch has a fixed size", completions=batch.left_out)
        job = _Job(batch, self._hyper.num_iterations, self._scale(groups, batch))
        self._waiting.clear()
        self._jobs.put(job)
        while not job.done.wait(1.0):
            if not self._thread.is_alive():
                break
        if self._failure is not None and is_out_of_memory(self._failure):
            raise self._failure
        if self._failure is not None or not job.done.is_set():
            raise TrlFailed(f"TRL's training loop ended: {self._failure!r}") from self._failure
        self.optimizer_steps += job.steps
        self._wait_for_loop()  # on its way there TRL sets the model to training once more
        self._model.eval()
        tokens = sum(len(ids) for ids, mask in zip(batch.completion_ids, batch.env_mask, strict=True) if any(mask))
        last = job.logs[-1] if job.logs else {}
        return StepMetrics(
            loss=float(last.get("loss", 0.0)),
            grad_norm=float(last.get("grad_norm", 0.0)),
            clip_ratio=float(last.get("clip_ratio/region_mean", 0.0)),
            entropy=float(last.get("entropy", 0.0)),
            kl=float(last.get("kl", 0.0)),
            tokens=tokens,
            groups_used=len(informative),
            groups_skipped=len(groups) - len(informative),
            external_used=sum(groups[index].external for index in informative),
            optimizer_steps=job.steps,
            seconds=time.perf_counter() - started,
        )

    def optimizer_state(self) -> Moments:
        """As `train.Trainer.optimizer_state`, so either backend resumes from the other's moments."""
        return moments(self._optimizer)

    def load_optimizer_state(self, state: Moments, optimizer_steps: int) -> None:
        """Take over what `optimizer_state` gave; TRL waits for groups meanwhile."""
        restore_moments(self._optimizer, state)
        self.optimizer_steps = optimizer_steps

    def close(self) -> None:
        """End TRL's loop and remove its scratch directory."""
        self._end_loop()
        self._scratch.cleanup()

    def _end_loop(self) -> None:
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join(timeout=30)
        self._jobs = queue.Queue()  # what a loop that broke did not take
        self._job = None

    def _scale(self, groups: Sequence[TrainingGroup], batch: RowBatch) -> float:
        """What turns TRL's mean over its rows into the loss type's mean over all groups (`loss.token_weight`).

        Groups without an advantage are not handed over, and rows that fill up are; both would change the denominator.
        """
        lengths = [len(ids) for group in groups for ids in group.completion_ids]
        if self._hyper.loss_type in ("grpo", "dr_grpo"):
            return len(batch.advantages) / len(lengths)
        if self._hyper.loss_type == "dapo":
            return sum(map(sum, batch.env_mask)) / sum(lengths)
        return 1.0

    def _build(self, device: DeviceChoice, overrides: dict[str, Any]) -> Any:
        from datasets import Dataset
        from transformers import PrinterCallback, TrainerCallback
        from trl import GRPOConfig, GRPOTrainer

        backend = self

        class Told(TrainerCallback):  # type: ignore[misc]
            """Tells the round what TRL logged and that its step is done."""

            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
                backend._logged(logs or {})

        rows = self._blocks * self._hyper.num_generations
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # rollout_func is called experimental; TRL is pinned and tested against
                trainer = GRPOTrainer(
                    model=self._model,
                    reward_funcs=self._rewards,
                    args=GRPOConfig(**self._arguments(device, overrides)),
                    train_dataset=Dataset.from_dict({"prompt": ["-"] * (rows * _PROMPTS)}),
                    processing_class=self._tokenizer,
                    callbacks=[Told()],
                    optimizers=(self._optimizer, torch.optim.lr_scheduler.LambdaLR(self._optimizer, lambda _: 1.0)),
                    rollout_func=self._rollout,
                )
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigError(
                f"TRL refuses the configuration: {str(error).splitlines()[0]}.",
                "correct SWARM_TRL_CONFIG and the hyperparameters",
            ) from error
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _arguments(self, device: DeviceChoice, overrides: dict[str, Any]) -> dict[str, Any]:
        """GRPOConfig's fields: the hyperparameters, the operator's overrides, and last what must not change."""
        hyper, rows = self._hyper, self._blocks * self._hyper.num_generations
        at_once = self._at_once
        on_cpu = device.device.type == "cpu"
        settings: dict[str, Any] = {
            "loss_type": hyper.loss_type,
            "epsilon": hyper.epsilon,
            "epsilon_high": hyper.epsilon_high,
            "beta": hyper.beta,
            "temperature": hyper.temperature,
            "max_completion_length": hyper.max_completion_length,
            "max_grad_norm": hyper.max_grad_norm,
            "lr_scheduler_type": "constant",
            "activation_checkpointing": False,
            "bf16": device.autocast_dtype is torch.bfloat16,
            "dataloader_pin_memory": not on_cpu,
        }
        fixed: dict[str, Any] = {
            "output_dir": self._scratch.name,
            "max_steps": _NEVER_ENDING,
            "num_generations": hyper.num_generations,
            "per_device_train_batch_size": at_once,
            "gradient_accumulation_steps": rows // at_once,
            "steps_per_generation": rows // at_once,
            "num_iterations": hyper.num_iterations,
            "learning_rate": hyper.learning_rate,
            "scale_rewards": "none",  # advantages come ready
            "shuffle_dataset": False,
            "remove_unused_columns": False,
            "logging_steps": 1,
            "disable_tqdm": True,
            "report_to": [],
            "save_strategy": "no",
            "use_cpu": on_cpu,
        }
        return {**settings, **overrides, **fixed}

    def _run(self) -> None:
        try:
            self._trainer.train()
        except _Stop:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the next `step`, which fails its round with it
            self._failure = error
        if self._job is not None:
            self._job.done.set()

    def _rollout(self, prompts: list[Any], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: wait for the next round's rows."""
        self._waiting.set()
        job = self._jobs.get()
        if job is None:
            raise _Stop
        self._job = job
        self._model.train()  # generation left it otherwise, and TRL divides a micro-batch's loss while training only
        batch = job.batch
        return {
            "prompt_ids": batch.prompt_ids,
            "completion_ids": batch.completion_ids,
            "logprobs": None,
            "env_mask": batch.env_mask,
            "advantage": [value * job.scale for value in batch.advantages],
        }

    @staticmethod
    def _rewards(completions: list[Any], advantage: list[float], **_: Any) -> list[float]:
        """TRL's reward function: the advantages as they are; TRL subtracts their mean, which is zero."""
        return advantage

    def _logged(self, logs: Mapping[str, float]) -> None:
        job = self._job
        if job is None or "loss" not in logs:
            return
        job.logs.append(dict(logs))
        if len(job.logs) == job.steps:
            self._job = None
            job.done.set()


def rows_at_once(rows: int, longest: int, micro_batch_tokens: int) -> int:
    """Rows forwarded at once: the largest divisor of `rows` whose padded tokens stay within twice the micro-batch."""
    fitting = max(1, 2 * micro_batch_tokens // (longest + 64))
    return max(size for size in range(1, rows + 1) if rows % size == 0 and size <= fitting)

"""`swarm-node`: puts the worker together. Settings are parsed before torch is imported."""

from __future__ import annotations

import asyncio
import functools
import importlib
import secrets
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_core import __version__
from swarm_core.errors import ConfigError
from swarm_core.log import get_logger
from swarm_core.memory_limit import memory_limit
from swarm_core.runner import Service, run
from swarm_core.status import NodeStatus
from swarm_core.uds import serve_unix
from swarm_node import heap
from swarm_node.choices import Choices
from swarm_node.settings import NodeSettings

if TYPE_CHECKING:
    from swarm_gym.pool import ScorerPool
    from swarm_node.backend import Backend
    from swarm_node.board import Board
    from swarm_node.environment import Environment
    from swarm_node.exchange import Exchange
    from swarm_node.ledger import Ledger
    from swarm_node.model import LoadedModel
    from swarm_node.progress import Progress
    from swarm_node.worker import Worker

_MAX_EXTERNAL_RATIO = 4.0  # policies of one swarm are near; a larger ratio is a stale peer's or a lie
log = get_logger("worker")


async def start(service: Service, settings: NodeSettings, environments: Sequence[Environment] = ()) -> None:
    """Open the status socket, load model and tasks, resume, run rounds."""
    heap.one_arena()
    from swarm_node.board import Board
    from swarm_node.events import EventFiles

    now = time.time()
    board = Board(
        NodeStatus(
            version=__version__,
            instance=secrets.token_hex(4),
            node=settings.node_name,
            model=settings.model or "embedded",
            device=settings.device,
            dtype="",
            started_at=now,
            phase="starting",
            phase_since=now,
            state="training",
        ),
        settings.state_dir / "history.jsonl",
        EventFiles(settings.state_dir / "tensorboard") if settings.tensorboard else None,
    )
    serve_unix(service, board.app(), settings.run_dir / "node.sock")
    choices = Choices(settings)
    service.on_close("choices", choices.close)
    worker, progress = await _assemble(service, await choices.begin(), board, choices, environments)
    service.spawn("worker", worker.run())

    async def save() -> None:
        if board.status.phase in ("waiting", "stopped"):  # otherwise a step may be under way; the last save counts
            await asyncio.to_thread(progress.save)

    service.on_close("checkpoint", save)


async def _assemble(
    service: Service, settings: NodeSettings, board: Board, choices: Choices, environments: Sequence[Environment]
) -> tuple[Worker, Progress]:
    # torch and transformers come in here, seconds after bad settings, a damaged ledger or a wrong chain were refused
    from swarm_chain.client import ChainClient
    from swarm_node.exchange import Exchange
    from swarm_node.introducer import Introducer
    from swarm_node.ledger import Ledger
    from swarm_node.registrar import Registrar
    from swarm_node.rounds import RoundClock

    ledger = Ledger(settings.state_dir / "ledger.json")
    chain = ChainClient(settings)
    exchange = Exchange(settings.run_dir / "dht.sock")
    for part, close in (("exchange", exchange.close), ("chain", chain.close)):
        service.on_close(part, close)
    clock = RoundClock(chain, ledger, service)
    await clock.check()
    service.spawn("bootnodes", Introducer(chain, exchange).run(service))
    service.spawn("registrar", Registrar(chain, exchange).run(service))
    await asyncio.to_thread(_import_heavy)  # beside the loop: status, health and bootnodes do not wait for torch

    from swarm_node import measures, memory_plan
    from swarm_node.checkpoint import BASE, CheckpointStore, hash_config
    from swarm_node.device import SMALL_MODEL_PARAMETERS, choose_device
    from swarm_node.judging.setup import make_host_work
    from swarm_node.model import EMBEDDED, load, resolve_name
    from swarm_node.policy import Policy
    from swarm_node.progress import Progress
    from swarm_node.report import Reporter
    from swarm_node.round import Learner
    from swarm_node.screening import Screening
    from swarm_node.tasks import TaskSet
    from swarm_node.tokens import Prompts
    from swarm_node.train import Trainer
    from swarm_node.worker import Worker

    device = choose_device(settings.device)
    default = EMBEDDED if device.device.type == "cpu" else "auto"
    name = resolve_name(settings.model or default, device, await _peer_id(exchange, ledger) or settings.node_name)
    try:
        loaded = await asyncio.to_thread(load, name, device, lora_rank=settings.lora_rank)
    except ConfigError as error:
        if settings.model == choices.environment_model:
            raise
        # chosen on the page: the node goes on with its default, and says so, until the owner chooses another
        log.error("the model chosen on the page cannot be loaded", model=name, error=str(error))
        board.set(choice_error=f"The model chosen on the page cannot be loaded: {error}"[:500])
        name = resolve_name(choices.environment_model or default, device, settings.node_name)
        loaded = await asyncio.to_thread(load, name, device, lora_rank=settings.lora_rank)
    device = device.for_model(loaded.parameters)
    device.apply_threads()
    try:
        hyper = settings.hyperparameters(name)
    except ValueError as error:
        raise ConfigError(f"The hyperparameters contradict each other: {error}.", "correct .env") from error
    task_set = settings.tasks or ("embedded" if name == EMBEDDED else "rgym")
    tasks = await asyncio.to_thread(TaskSet.load, task_set, environments)
    trainer: Backend
    parts: list[object] = [loaded.identity, hyper.identity(), tasks.identity, settings.seed]
    if settings.trainer == "trl":
        from swarm_node.trl_backend import TrlTrainer, read_overrides

        overrides = read_overrides(settings.trl_config)
        trainer = await asyncio.to_thread(TrlTrainer, loaded.model, loaded.tokenizer, hyper, device, overrides)
        parts += ["trl", overrides]
    else:
        trainer = Trainer(loaded.model, hyper, device, max_external_ratio=_MAX_EXTERNAL_RATIO)
    learner = Learner(
        tasks,
        Policy(loaded.model, loaded.tokenizer, device, hyper),
        trainer,
        Prompts(loaded.tokenizer),
        hyper,
        settings.seed,
    )
    store = CheckpointStore(settings.state_dir / "checkpoints")
    config = hash_config(*parts)
    progress = Progress(store, trainer, config, ledger.credited_round(config) + 1, curriculum=tasks.curriculum)
    await asyncio.to_thread(_write_base, loaded, store.home(config) / BASE)
    resumed = await asyncio.to_thread(progress.resume)
    memory = await asyncio.to_thread(memory_plan.make, settings.state_dir / "memory.json", config, learner, device)
    board.set(
        model=name,
        device=device.label,
        dtype=str(device.compute_dtype).removeprefix("torch."),
        resumed_from=resumed,
        memory_limit=memory_limit(),
        gpu_memory=device.memory_bytes,
        choices_revision=choices.current.revision,
    )
    log.info(
        "ready to train",
        model=name,
        parameters=loaded.parameters,
        device=device.label,
        threads=device.threads,
        next_round=progress.training_round,
        resumed="no checkpoint" if resumed is None else f"optimiser step {resumed}",
    )
    reporter = Reporter(settings.login_url, settings.api_token_file, ledger, settings.report_every())
    service.on_close("reporter", reporter.close)
    if settings.hub_push_steps:
        from swarm_node.hub import Pusher

        described = {"tasks": tasks.name, "seed": settings.seed, **hyper.model_dump()}
        pusher = Pusher(
            token_file=settings.hub_token_file,
            every=settings.hub_push_steps,
            model=name,
            store=store,
            config_hash=config,
            board=board,
            settings=described,
            scratch=settings.state_dir / "hub",
        )
        try:
            await pusher.check()
        except ConfigError as error:
            if not choices.pushes:
                raise
            log.error("the Hub token given on the page cannot push", error=str(error))
            board.set(hub_error=str(error)[:500])
        else:
            service.spawn("hub", pusher.run(service))
    screening = Screening(tasks, exchange, await _scorers(service), str(settings.chain_id))
    worker = Worker(settings, service, board, learner, progress, exchange, chain, clock, ledger, reporter, screening)
    worker.adopt(memory)
    if loaded.parameters >= SMALL_MODEL_PARAMETERS:
        worker.keeps_pages = True
        heap.keep_pages()
    worker.parameters = measures.count_parameters(loaded.model)
    worker.peak_flops = await asyncio.to_thread(measures.peak_flops, device)
    worker.host_work = make_host_work(
        settings, learner, device, chain, exchange, lambda: worker.peer_id, lambda: choices.plays_market
    )
    if worker.host_work is not None:
        worker.host_work.start(service)
    worker.follow_choices = partial(choices.follow, service, board)
    service.spawn("choices", choices.watch(service, board))
    return worker, progress


async def _scorers(service: Service) -> ScorerPool:
    """Processes that score the texts of strangers and may be killed for it. Raises Unavailable."""
    from swarm_gym.pool import ScorerPool

    pool = ScorerPool(workers=1)  # a text takes a millisecond
    service.on_close("scorers", pool.close)
    await pool.start()
    service.spawn("scorers", _watch(service, pool))
    return pool


async def _watch(service: Service, pool: ScorerPool) -> None:
    """Ends with the service, or before it when the scorers are gone: nobody trains on what cannot be checked."""
    running, stopping = asyncio.ensure_future(pool.run()), asyncio.ensure_future(service.stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, stopping):
        task.cancel()
    if running.done() and not running.cancelled() and not service.stop.is_set():
        running.result()


async def _peer_id(exchange: Exchange, ledger: Ledger) -> str:
    if not ledger.peer_id and (status := await exchange.status()) is not None:
        ledger.identify(status.peer_id)
    return ledger.peer_id


def _write_base(loaded: LoadedModel, base: Path) -> None:
    """What an export needs beside a checkpoint. A disk that refuses is told, as it is for checkpoints."""
    from swarm_node.checkpoint import CheckpointError
    from swarm_node.export import write_base

    try:
        write_base(loaded.model, loaded.tokenizer, base)
    except CheckpointError as error:
        log.error("no export is possible until the next start", error=str(error))


def _import_heavy() -> None:
    importlib.import_module("swarm_node.worker")  # torch
    importlib.import_module("transformers.models.auto.modeling_auto")


def main(environments: Sequence[Environment] = ()) -> None:
    """Console script. A script of your own may hand over `environments` (docs/tasks.md)."""
    run("swarm-node", NodeSettings, functools.partial(start, environments=environments))


if __name__ == "__main__":
    main()

"""`swarm-judge`: puts the judge together."""

from __future__ import annotations

from swarm_chain.client import ChainClient
from swarm_chain.market import MarketClient
from swarm_chain.role_keys import key_path, load_key
from swarm_chain.wallet import Wallet
from swarm_core.judge_wire import audience
from swarm_core.log import get_logger
from swarm_core.runner import Service, run
from swarm_core.uds import serve_tcp
from swarm_gym.pool import ScorerPool
from swarm_judge.api import make_app
from swarm_judge.evaluation import Evaluation
from swarm_judge.games.ledger import GameLedger
from swarm_judge.games.master import GameMaster
from swarm_judge.judge import Judge
from swarm_judge.metrics import JudgeCollector
from swarm_judge.round_watch import Registrations, RoundWatch
from swarm_judge.settings import JudgeSettings
from swarm_judge.signatures import Signatures
from swarm_judge.stock import Stock
from swarm_judge.store import JudgeStore

log = get_logger("judge")


async def start(service: Service, settings: JudgeSettings) -> None:
    """Open the database, start the scorers, serve, hold games."""
    store = JudgeStore(settings.judge_state_dir / "judge.db")
    chain = ChainClient(settings)
    service.on_close("chain", chain.close)
    pool = ScorerPool()
    service.on_close("scorer", pool.close)
    await pool.start()
    rounds = RoundWatch(chain)
    await rounds.look()
    evaluation = Evaluation(
        store,
        Stock(store, pool, store.master()),
        pool,
        rounds,
        Registrations(chain),
        Signatures(lambda: audience(chain.chain_id, chain.coordinator)),
        answer_seconds=settings.judge_answer_seconds,
        per_round=settings.judge_questions_per_round,
        allow_unsigned=settings.judge_unsigned == 1,
    )
    ledger = GameLedger(store.db)
    master = _game_master(settings, chain, ledger, pool)
    judge = Judge(store, evaluation, rounds, ledger, master)
    judge.registry.register(JudgeCollector(judge, pool))
    serve_tcp(service, make_app(judge), settings.judge_host, settings.judge_port, "SWARM_JUDGE_PORT")
    service.spawn("scorer", pool.run())
    service.spawn("rounds", rounds.run(service))
    service.spawn("sweep", evaluation.sweep(service))
    if master is not None:
        service.spawn("games", master.run(service))
    log.info("judge ready", round=rounds.current, unsigned=bool(settings.judge_unsigned), games=master is not None)


def _game_master(
    settings: JudgeSettings, chain: ChainClient, ledger: GameLedger, pool: ScorerPool
) -> GameMaster | None:
    """None for a host that has no game master's key: its judge asks questions only."""
    if not key_path(settings.judge_keys_dir, "game-master").exists():
        log.warning("no games: there is no key of a game master", directory=settings.judge_keys_dir)
        return None
    wallet = Wallet(chain, load_key(settings.judge_keys_dir, "game-master"))
    return GameMaster(settings, ledger, MarketClient(chain), wallet, pool)


def main() -> None:
    """Console script `swarm-judge`."""
    run("swarm-judge", JudgeSettings, start)

"""Runs the market's state machine on a chain."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.support.chains import LocalChain
from tests.support.market_chain import Chain
from tests.support.market_machine import ACCOUNTS, OWNERS, MarketMachine

from swarm_chain import abi, calls
from swarm_chain.deployment import read_deployment
from swarm_chain.role_keys import load_key
from swarm_chain.wallet import Wallet


def fuzz(chain: LocalChain, examples: int, steps: int) -> tuple[int, Counter[str]]:
    """Run `examples` of up to `steps` rules each; how many actions were compared, and by outcome: the error
    or `passed <selector>`."""
    deployment = read_deployment(chain.deployment_file)
    master = Wallet(chain.client(), load_key(chain.settings.judge_keys_dir, "game-master")).address
    rpc = Chain(chain.rpc_url, deployment.market, master)
    for peer, owner in OWNERS.items():
        call = {"from": ACCOUNTS[owner], "to": deployment.coordinator, "data": "0x" + calls.register_peer(peer).hex()}
        assert isinstance(rpc.rpc("eth_sendTransaction", {**call, "gas": hex(1_000_000), "gasPrice": "0x0"}), str)
    assert rpc.read("owner()") == master
    assert abi.error_name(abi.selector("AlreadyGuessed()")) == "AlreadyGuessed"

    class Machine(MarketMachine):
        pass

    Machine.chain = rpc
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Machine, settings=chosen)
    finally:
        rpc.close()
    return rpc.actions, rpc.outcomes

"""PredictionMarket against a model of its rules: every action passes or reverts as the model says, sums agree, and what
is paid out is at most what was paid in with less than one token per winner left. `make fuzz-market` runs 50,000 actions
and more; `make test` a part of that (`tests/integration/swarm_chain/test_market_properties.py`).
"""

from __future__ import annotations

from pathlib import Path

from tests.support.chains import Anvil, anvil_binary, deploy_chain
from tests.support.market_fuzz import fuzz

from swarm_chain import abi

ACTIONS = 50_000
EXAMPLES = 900
# what must really have happened, and often
EXPECTED = {
    *(f"passed {abi.selector(name).hex()}" for name in (
        "guessAnswer(uint256,string,uint256,uint256,uint256)", "claimReward(uint256,string)",
        "createNewGame(uint256,uint256,bytes32)", "incrementRound(uint256)",
        "revealClue(uint256,uint256,string,bytes32,bytes32[])", "revealAnswer(uint256,uint256,uint256)",
        "revealAnswerWithProof(uint256,uint256,uint256,string,bytes32,bytes32[])",
    )),
    "AlreadyGuessed", "AlreadyClaimed", "NothingToClaim", "NotEnoughBetTokens", "InvalidProof", "RevealTooLate",
}  # fmt: skip


def test_fifty_thousand_actions(tmp_path: Path) -> None:
    anvil = Anvil(anvil_binary())
    try:
        done, outcomes = fuzz(deploy_chain(anvil, tmp_path), examples=EXAMPLES, steps=80)
        print("actions", done, dict(outcomes.most_common()))
        assert done >= ACTIONS
        assert {name for name in EXPECTED if outcomes[name] < 20} == set()
    finally:
        anvil.stop(kill=True)

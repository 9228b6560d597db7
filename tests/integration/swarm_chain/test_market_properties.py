"""A part of the market's property test, on every run; `make fuzz-market` has the 50,000 actions and the explanation."""

from __future__ import annotations

from tests.support.chains import LocalChain
from tests.support.market_fuzz import fuzz


def test_the_contract_does_what_the_model_says(chain: LocalChain) -> None:
    actions, _ = fuzz(chain, examples=10, steps=50)
    assert actions >= 200

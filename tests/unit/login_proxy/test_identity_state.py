"""The named states: each with its reason and remedy, the worst problem first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from login_proxy import texts
from login_proxy.identity_state import Situation, of_peer, of_service
from login_proxy.outbox.funds import Shortage

READY = Situation(
    claimed=True, account="0xme", chain_state="ok", chain_reason="", registered={"A"}, foreign={"F": "0xother"}
)


@pytest.mark.parametrize(
    ("situation", "peers", "state"),
    [
        (replace(READY, claimed=False, account=None), ["A"], "unclaimed"),
        (replace(READY, claimed=False, account=None, chain_state="wrong"), ["A"], "unclaimed"),
        (replace(READY, account=None), ["A"], "claimed"),
        (replace(READY, claimed=False), ["A"], "registered"),
        (replace(READY, chain_state="unknown"), ["A"], "account_ready"),
        (replace(READY, chain_state="wrong", chain_reason="why"), ["A"], "wrong_chain"),
        (replace(READY, chain_state="unreachable", chain_reason="why"), ["F"], "chain_unreachable"),
        (replace(READY, moved=True), ["A"], "claimed"),
        (replace(READY, short=Shortage(1, 3)), ["A"], "no_gas"),
        (replace(READY, short=Shortage(1, 3)), ["A", "F"], "owned_by_other"),
        (replace(READY, short=Shortage(1, 3), chain_state="wrong", chain_reason="why"), ["A"], "wrong_chain"),
        (READY, [], "account_ready"),
        (READY, ["A"], "registered"),
        (READY, ["A", "B"], "registering"),
        (READY, ["A", "B", "F"], "owned_by_other"),
    ],
)
def test_states_of_the_node(situation: Situation, peers: list[str], state: str) -> None:
    identity = of_service(situation, peers)
    assert identity.state == state
    assert (identity.reason == "") is (state == "registered")
    assert (identity.remedy == "") is (state == "registered")


def test_states_of_peers() -> None:
    assert [of_peer(READY, peer).state for peer in "ABF"] == ["registered", "registering", "owned_by_other"]
    assert "0xother" in of_peer(READY, "F").reason
    assert of_peer(replace(READY, chain_state="wrong", chain_reason="why"), "A").reason == "why"
    assert of_peer(replace(READY, account=None, claimed=False), "A").state == "unclaimed"


def test_without_gas_the_remedy_names_the_amount_the_account_and_the_chain() -> None:
    identity = of_peer(replace(READY, short=Shortage(10**15, 3 * 10**15), chain_id=685685), "A")
    assert "holds 0.001 ETH" in identity.reason
    assert identity.remedy == "Send at least 0.002 ETH on chain 685685 to 0xme."


def test_amounts_are_exact() -> None:
    amounts = {0: "0", 1: "0.000000000000000001", 10**18: "1", 25 * 10**17: "2.5", -(10**17): "-0.1"}
    assert {wei: texts.ether(wei) for wei in amounts} == amounts

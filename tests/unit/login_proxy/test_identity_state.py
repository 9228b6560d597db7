"""The named states: each with its reason and remedy, the worst problem first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from login_proxy.identity_state import Situation, of_peer, of_service

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

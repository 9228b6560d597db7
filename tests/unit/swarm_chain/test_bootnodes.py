"""What the publisher changes on chain: exactly our own entries, with indices that stay valid while removing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarm_chain.bootnodes import Changes, plan

ADDRESS = "/dns4/bootnode/tcp/38751"


def apply(on_chain: list[str], changes: Changes) -> list[str]:
    """What the contract makes of the changes: the last entry moves into the gap."""
    result = list(on_chain)
    for index in changes.remove:
        result[index] = result[-1]
        result.pop()
    return result + list(changes.add)


def test_a_missing_address_is_added_and_a_present_one_left() -> None:
    assert plan([], [ADDRESS], "A") == Changes((), (f"{ADDRESS}/p2p/A",))
    assert plan([f"{ADDRESS}/p2p/A"], [ADDRESS], "A") == Changes((), ())


def test_stale_entries_are_ours_by_address_or_by_peer_id() -> None:
    on_chain = [f"{ADDRESS}/p2p/OLD", "/ip4/1.2.3.4/tcp/1/p2p/OTHER", "/ip4/9.9.9.9/tcp/9/p2p/A"]
    changes = plan(on_chain, [ADDRESS], "A")
    assert sorted(apply(on_chain, changes)) == ["/dns4/bootnode/tcp/38751/p2p/A", "/ip4/1.2.3.4/tcp/1/p2p/OTHER"]


ENTRIES = st.lists(
    st.builds("{}/p2p/{}".format, st.sampled_from([ADDRESS, "/ip4/1.1.1.1/tcp/1", "/b"]), st.sampled_from("ABC"))
)


@given(ENTRIES)
def test_afterwards_our_addresses_stand_once_and_others_as_before(on_chain: list[str]) -> None:
    after = apply(on_chain, plan(on_chain, [ADDRESS, "/b"], "A"))
    wanted = [f"{ADDRESS}/p2p/A", "/b/p2p/A"]
    others = [entry for entry in on_chain if entry in ("/ip4/1.1.1.1/tcp/1/p2p/B", "/ip4/1.1.1.1/tcp/1/p2p/C")]
    assert sorted(after) == sorted(wanted + others)

"""Call data and revert data, against values that are known from outside."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from swarm_chain import abi, artifacts, calls
from swarm_chain.errors import WrongContract


def test_selectors_are_the_known_ones() -> None:
    assert abi.selector("initialize(address)").hex() == "c4d66de8"
    assert abi.selector("upgradeToAndCall(address,bytes)").hex() == "4f1ef286"
    assert abi.role("OWNER_ROLE").hex() == "b19546dff01e856fb3f010c267a7b1c60363cf8a4664e21cc89c26224620214e"


def test_every_call_is_a_function_of_the_contract() -> None:
    known = {
        abi.selector(abi.signature_of(entry))
        for entry in artifacts.load("SwarmCoordinator").abi
        if entry["type"] == "function"
    }
    account = "0x" + "11" * 20
    made = [
        calls.register_peer("p"),
        calls.submit_reward(1, 0, -3, "p"),
        calls.submit_winners(1, ["p"], "p"),
        calls.update_stage_and_round(),
        calls.add_bootnodes(["/a"]),
        calls.remove_bootnode(0),
        calls.grant_role(b"\0" * 32, account),
        calls.revoke_role(b"\0" * 32, account),
        calls.set_limits(1, 2),
        calls.initialize(account),
        calls.upgrade(account),
    ]
    assert {data[:4] for data in made} <= known
    assert len({data[:4] for data in made}) == len(made)


def test_a_negative_reward_is_encoded_as_twos_complement() -> None:
    data = calls.submit_reward(7, 0, -1, "p")
    assert data[4:36] == (7).to_bytes(32, "big")
    assert data[68:100] == b"\xff" * 32


def test_revert_data_is_named() -> None:
    assert abi.error_name(abi.selector("RewardAlreadySubmitted()")) == "RewardAlreadySubmitted"
    assert abi.error_name("0x" + abi.selector("InvalidVote()").hex()) == "InvalidVote"
    assert abi.error_name(b"") is None
    assert abi.error_name(b"\x01\x02\x03\x04") is None
    assert calls.error_name(abi.selector("OnlyOwner()")) == "OnlyOwner"


def test_reverts_without_a_custom_error_keep_what_they_say() -> None:
    text = abi.contract_error(bytes.fromhex("08c379a0") + encode(["string"], ["why not"]))
    assert (text.name, text.detail) == ("Error", "why not")
    panic = abi.contract_error(bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]))
    assert (panic.name, panic.detail) == ("Panic", "17")
    torn = abi.contract_error(bytes.fromhex("08c379a0") + b"\xff" * 7, "execution reverted")
    assert (torn.name, torn.detail) == ("Error", "execution reverted")
    assert abi.contract_error(b"", "execution reverted").name == ""


@pytest.mark.parametrize("data", [b"", b"\0" * 31, b"\xff" * 64])
def test_an_answer_of_another_contract_is_told(data: bytes) -> None:
    with pytest.raises(WrongContract, match="getBootnodes"):
        abi.decode_result("getBootnodes()", data)

"""Golden bytes of the wire records: peers of every release must read and write exactly these.

A change here is a change of the protocol: raise `records.VERSION`, add new bytes and keep these as "refused".
"""

from __future__ import annotations

from dataclasses import replace

from swarm_core.records import GroupBatch, RolloutGroup

GROUP = RolloutGroup(
    task="chain_sum",
    seed=4_294_967_295,
    question="What is 12 + 30?",
    answer="42",
    completions=("<answer>42</answer>", "<answer>4é</answer>"),
    rewards=(1.0, 0.01),
)
BATCH = GroupBatch(round=7, published_at=1_764_000_000.25, groups=(GROUP,))
GOLDEN_GROUP = (
    "87a17601a47461736ba9636861696e5f73756da473656564ceffffffffa87175657374696f6eb05768617420697320313220"
    "2b2033303fa6616e73776572a23432ab636f6d706c6574696f6e7392b33c616e737765723e34323c2f616e737765723eb43c"
    "616e737765723e34c3a93c2f616e737765723ea77265776172647392cb3ff0000000000000cb3f847ae147ae147b"
)
GOLDEN_BATCH = (
    "84a17601a5726f756e6407ac7075626c69736865645f6174cb41da492040100000a667726f75707391c49287a17601a47461"
    "736ba9636861696e5f73756da473656564ceffffffffa87175657374696f6eb057686174206973203132202b2033303fa661"
    "6e73776572a23432ab636f6d706c6574696f6e7392b33c616e737765723e34323c2f616e737765723eb43c616e737765723e"
    "34c3a93c2f616e737765723ea77265776172647392cb3ff0000000000000cb3f847ae147ae147b"
)
RICH = replace(
    GROUP, metadata=(("model", "m"), ("temperature", 1.0)), logprobs=((-0.5, -0.25), (-1.5,)), tokenizer="0f" * 32
)
GOLDEN_RICH = (
    "8aa17602a47461736ba9636861696e5f73756da473656564ceffffffffa87175657374696f6eb05768617420697320313220"
    "2b2033303fa6616e73776572a23432ab636f6d706c6574696f6e7392b33c616e737765723e34323c2f616e737765723eb43c"
    "616e737765723e34c3a93c2f616e737765723ea77265776172647392cb3ff0000000000000cb3f847ae147ae147ba86d6574"
    "616461746182a56d6f64656ca16dab74656d7065726174757265cb3ff0000000000000a86c6f6770726f627392c408000000"
    "bf000080bec4040000c0bfa9746f6b656e697a6572d940306630663066306630663066306630663066306630663066306630"
    "66306630663066306630663066306630663066306630663066306630663066306630663066"
)
GOLDEN_DIGEST = "a705a4b4909230d77d849bb0e7595891a1b16f9653ab74d3c0ae30bd227a3a34"


def test_group() -> None:
    assert GROUP.encode().hex() == GOLDEN_GROUP
    assert RolloutGroup.decode(bytes.fromhex(GOLDEN_GROUP)) == GROUP
    assert GROUP.digest() == GOLDEN_DIGEST


def test_batch() -> None:
    assert BATCH.encode().hex() == GOLDEN_BATCH
    assert GroupBatch.decode(bytes.fromhex(GOLDEN_BATCH)) == BATCH


def test_a_batch_holds_the_bytes_of_its_groups() -> None:
    # a group's digest can be checked without decoding it
    assert bytes.fromhex(GOLDEN_GROUP) in bytes.fromhex(GOLDEN_BATCH)


def test_group_of_version_2() -> None:
    assert RICH.encode().hex() == GOLDEN_RICH
    assert RolloutGroup.decode(bytes.fromhex(GOLDEN_RICH)) == RICH
    assert RICH.digest() == GOLDEN_DIGEST
    assert RICH.plain() == GROUP


def test_batch_of_version_2() -> None:
    batch = replace(BATCH, groups=(RICH,))
    golden = "84a17602a5726f756e6407ac7075626c69736865645f6174cb41da492040100000a667726f75707391c5011f" + GOLDEN_RICH
    assert batch.encode().hex() == golden
    assert GroupBatch.decode(bytes.fromhex(golden)) == batch
    assert batch.plain().encode().hex() == GOLDEN_BATCH

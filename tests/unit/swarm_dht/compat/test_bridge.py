"""Compatibility stops by itself before a round's dictionary reaches libp2p's limit, says so, and goes on afterwards."""

from __future__ import annotations

import random
import time
from typing import Any, cast

import pytest
from tests.support.keys import quick_key

from swarm_core.genrl_records import Question, encode_questions
from swarm_core.identity import parse_key
from swarm_dht.compat.bridge import RESUME_BYTES, STOP_BYTES, GenrlBridge
from swarm_dht.guard import StoreGuard
from swarm_dht.supervisor import Supervisor

CLIFF = 4 * 1024 * 1024  # what libp2p does not carry in one message


class Calls:
    """Stands in for the supervisor: counts what would have gone to the network."""

    def __init__(self) -> None:
        self.count = 0

    async def call(self, operation: Any, seconds: float) -> int:
        self.count += 1
        return 5


@pytest.fixture(scope="module")
def record() -> bytes:
    """A record of the size that nine questions of eight long completions have."""
    questions = [
        Question(f"question {number}", "4", {}, "leg_counting", number, [str(number) * 900] * 8) for number in range(9)
    ]
    return encode_questions(questions)


def bridge(peers: list[int]) -> tuple[GenrlBridge, Calls]:
    """A bridge in a swarm of `peers[0]` known peers."""
    calls = Calls()
    made = GenrlBridge(
        parse_key(quick_key(1)), "53855", cast("Supervisor", calls), StoreGuard(), lambda: peers[0], random.Random(1)
    )
    return made, calls


async def test_it_stops_well_before_the_cliff_and_goes_on_when_the_swarm_is_smaller(record: bytes) -> None:
    peers = [1]
    made, calls = bridge(peers)
    assert await made.publish(1, record, 1.0) == 5
    assert (calls.count, made.status().stopped) == (1, False)

    peers[0] = STOP_BYTES // len(record) + 1
    assert (peers[0] + 1) * len(record) < CLIFF * 0.6
    assert await made.publish(2, record, 1.0) == 0
    assert await made.collect(2, 4, 1.0, 600.0, ()) == []
    assert calls.count == 1, "nothing is written or read near the cliff"
    status = made.status()
    assert status.stopped
    assert status.dictionary_bytes > STOP_BYTES
    assert status.counts == {"written": 1, "not_written": 1, "not_read": 1}

    peers[0] = (RESUME_BYTES + STOP_BYTES) // 2 // len(record)
    assert await made.publish(3, record, 1.0) == 0, "it does not go to and fro at the limit"
    peers[0] = RESUME_BYTES // len(record) - 2
    assert await made.publish(4, record, 1.0) == 5
    assert not made.status().stopped


async def test_large_dictionaries_that_were_read_count_and_one_liar_does_not(record: bytes) -> None:
    made, calls = bridge([1])
    now = time.monotonic()
    made._seen.extend([(1000, now), (1200, now), (3 * 1024 * 1024, now)])
    assert await made.publish(1, record, 1.0) == 5
    made._seen.extend([(3 * 1024 * 1024, now)] * 3)
    assert await made.publish(2, record, 1.0) == 0
    assert calls.count == 1

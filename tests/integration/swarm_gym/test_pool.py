"""Real scorer processes: right scores, and what takes too long or too much memory costs only itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from swarm_gym.pool import Question, ScorerPool

SUM = Question("chain_sum", 5, {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
# making these questions takes about a second on a fast machine, three times what the slow worker has, or gigabytes
SLOW = Question("count_primes", 1, {"min_n": 16_000_000, "max_n": 16_000_000})
LARGE = Question("count_primes", 1, {"min_n": 2_000_000_000, "max_n": 2_000_000_000})
RIGHT = "<answer>8</answer>"


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ScorerPool]:
    """A started pool whose slow worker has little patience."""
    pool = ScorerPool(slow_seconds=0.3)
    await pool.start()
    yield pool
    await pool.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_questions_and_scores(pool: ScorerPool) -> None:
    assert (
        await pool.make([SUM, SUM])
        == [("State the final answer to the following arithmetic problem: 8 - 0 =", "8")] * 2
    )
    assert await pool.score(SUM, [RIGHT, "<answer>x</answer>", "8"]) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("bomb", [SLOW, LARGE])
async def test_a_bomb_scores_nothing_and_others_do_not_wait_for_it(pool: ScorerPool, bomb: Question) -> None:
    killed = pool.killed
    exploding = asyncio.ensure_future(pool.score(bomb, [RIGHT]))
    waits = []
    while not exploding.done() or len(waits) < 50:
        began = time.perf_counter()
        assert await pool.score(SUM, [RIGHT]) == [1.0]
        waits.append(time.perf_counter() - began)
    assert await exploding == [0.0]
    assert pool.killed == killed + 1
    waits.sort()
    assert waits[len(waits) // 2] < 0.05


async def test_many_bombs_at_once_leave_a_working_pool(pool: ScorerPool) -> None:
    assert await asyncio.gather(*(pool.score(SLOW, [RIGHT]) for _ in range(6))) == [[0.0]] * 6
    assert await pool.score(SUM, [RIGHT]) == [1.0]


async def test_a_caller_that_gives_up_leaves_no_answer_behind(pool: ScorerPool) -> None:
    calls = [asyncio.ensure_future(pool.score(SUM, [RIGHT] * number)) for number in range(1, 9)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert [len(scores) for scores in done[1::2] if isinstance(scores, list)] == [2, 4, 6, 8]

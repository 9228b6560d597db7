"""Many questions: failures are kept apart from answers, and a dead RPC is not asked for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from login_proxy.outbox import asking
from login_proxy.outbox.asking import ask_all, ask_until_answered
from swarm_chain.errors import ContractError, RpcRefused, WrongContract
from swarm_core.errors import Unavailable


def question(*answers: int | Exception) -> Callable[[], Awaitable[int]]:
    script = list(answers)

    async def ask() -> int:
        answer = script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


GONE = Unavailable("gone")


async def test_answers_come_in_order_with_failures_in_their_places() -> None:
    assert await ask_all([question(1), question(GONE), question(3)]) == [1, GONE, 3]
    assert await ask_all([]) == []


async def test_a_dead_rpc_is_asked_a_few_times_only() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        raise GONE

    assert await ask_all([ask] * 100) == [GONE] * 100
    assert asked < 20


async def test_other_errors_are_raised_and_exceptions_may_be_answers() -> None:
    error = ContractError("InvalidVote")

    async def answer() -> ContractError:
        return error

    assert await ask_all([answer]) == [error]
    with pytest.raises(WrongContract):
        await ask_all([question(1), question(WrongContract("x")), question(GONE)])


async def test_lost_answers_are_asked_for_again() -> None:
    assert await ask_until_answered([question(GONE, GONE, 1), question(2), question(GONE, 3)]) == [1, 2, 3]


async def test_what_is_never_answered_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await ask_until_answered([question(1), question(*[GONE] * 50)])


async def test_after_six_failures_the_rest_gets_the_last_one_unasked() -> None:
    errors = [Unavailable(str(number)) for number in range(20)]
    answers = await ask_all([question(error) for error in errors])
    assert answers == [*errors[:6], *[errors[5]] * 14]
    assert await ask_all([*[question(error) for error in errors[:5]], question(7)]) == [*errors[:5], 7]


async def test_it_is_asked_six_times_more_and_not_again() -> None:
    assert await ask_until_answered([question(*[GONE] * 6, 1)]) == [1]
    with pytest.raises(Unavailable):
        await ask_until_answered([question(*[GONE] * 7, 1)])


async def test_a_loss_is_asked_again_at_once_and_an_outage_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[BaseException | None] = []
    clock = iter([float(second) for second in range(100)])

    def question(*failures: BaseException) -> Callable[[], Awaitable[str]]:
        todo = list(failures)

        async def ask() -> str:
            asked.append(todo[0] if todo else None)
            if todo:
                raise todo.pop(0)
            return "answer"

        return ask

    lost = Unavailable("lost")
    assert await asking.persist(question(lost, lost, lost)) == "answer"
    assert len(asked) == 4
    for failures in ([lost] * 4, [RpcRefused(-1, "no")], [ContractError("x")]):
        asked.clear()
        with pytest.raises(type(failures[0])):
            await asking.persist(question(*failures))
        assert len(asked) == len(failures)
    monkeypatch.setattr(asking.time, "monotonic", lambda: next(clock) * 1.1)
    asked.clear()
    with pytest.raises(Unavailable):
        await asking.persist(question(lost))
    assert len(asked) == 1

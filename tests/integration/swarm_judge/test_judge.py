"""The real judge process on a real chain: who is served, how often, when, and what hostile clients can do (nothing)."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.support.chains import LocalChain
from tests.support.judge_host import JudgeProcess, make_key, register

from swarm_chain import calls
from swarm_core.identity import PeerKey
from swarm_gym.questions import make_entry
from swarm_judge.ladder import LEVELS
from swarm_judge.salts import candidates, commitment_of


@pytest.fixture(scope="module")
def peers(session_chain: LocalChain) -> Iterator[PeerKey]:
    """Registered peers, a new one for each use."""
    return iter(asyncio.run(register(session_chain, 24)))


@pytest.fixture(scope="module")
def judge(session_chain: LocalChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgeProcess]:
    """A judge that serves signed requests only and holds no games; it reads the round more often than answers end."""
    state = tmp_path_factory.mktemp("judge")
    process = JudgeProcess(session_chain, state, SWARM_MARKET_GAMES="0", SWARM_JUDGE_ANSWER_SECONDS="8")
    yield process
    assert process.stop() == 0


async def advance(chain: LocalChain, judge: JudgeProcess) -> int:
    """Begin the next round of the swarm and wait until the judge saw it."""
    async with chain.client() as client:
        await chain.role(client, "stage-manager").send(calls.update_stage_and_round())
        now = (await client.round_and_stage()).round
    end = time.monotonic() + 20
    while judge.get("/healthz")["round"] != now:
        assert time.monotonic() < end
        await asyncio.sleep(0.1)
    return now


def current(judge: JudgeProcess) -> int:
    return int(judge.get("/healthz")["round"])


def answer_to(question: str) -> str:
    """The right answer to a question of the ladder's lowest level, worked out from its text."""
    if sum_ := re.search(r"arithmetic problem: ([\d +-]+) =", question) or re.search(
        r"multiplication: ([\d *]+)\.", question
    ):
        return str(eval(sum_.group(1)))  # noqa: S307 - digits and signs only
    if bits := re.search(r"1 bits .* number (\d+)\?", question):
        return str(int(bits.group(1)).bit_count())
    if base := re.search(r"convert the (\S+) number (\w+) to (\S+)", question):
        return in_base(int(base.group(2), base_of(base.group(1))), base_of(base.group(3)))
    numbers = [int(number) for number in re.findall(r"\d+", question.split(":")[-1])]
    return str(math.gcd(*numbers) if "GCD" in question else math.lcm(*numbers))


def base_of(name: str) -> int:
    """binary, hexadecimal or base-N as a number."""
    return {"binary": 2, "hexadecimal": 16}.get(name) or int(name.removeprefix("base-"))


def in_base(value: int, base: int) -> str:
    """`value` below base 10 written out."""
    return str(value) if value < base else in_base(value // base, base) + str(value % base)


def test_the_answers_of_this_test_are_right() -> None:
    for name, params in LEVELS[0]:
        for seed in range(40):
            entry = make_entry(name, seed, params)
            assert answer_to(entry["question"]) == str(entry["answer"]), entry["question"]


def test_only_registered_peers_that_sign_this_very_request_are_served(
    judge: JudgeProcess, peers: Iterator[PeerKey]
) -> None:
    key, now = next(peers), current(judge)

    def refused(answer: httpx.Response, status: int, name: str) -> None:
        assert (answer.status_code, answer.json()["error"]) == (status, name)

    plain = {"user_id": key.peer_id, "round_number": now, "model_name": "m"}
    refused(judge.post("/request-question/", plain), 401, "SignatureRequired")
    refused(judge.ask(make_key(), now), 403, "PeerNotRegistered")
    proof = judge.proof(key, now, "m")
    refused(judge.post("/request-question/", {**plain, "model_name": "other", "proof": proof}), 401, "InvalidSignature")
    refused(
        judge.post("/request-question/", {**plain, "proof": judge.proof(next(peers), now, "m")}),
        401,
        "InvalidSignature",
    )
    refused(
        judge.post("/request-question/", {**plain, "proof": {**proof, "signature": "AAAA"}}), 401, "InvalidSignature"
    )
    refused(judge.ask(key, now, audience="1:0x" + "11" * 20), 401, "InvalidSignature")
    refused(judge.ask(key, now, issued_at=int(time.time()) - 600), 401, "RequestTooOld")
    refused(judge.ask(key, now + 1000), 400, "InvalidRoundNumber")
    proof = judge.proof(key, now, "m")
    assert judge.post("/request-question/", {**plain, "proof": proof}).status_code == 200
    refused(judge.post("/request-question/", {**plain, "proof": proof}), 401, "RequestReplayed")


async def test_a_peer_is_asked_once_a_round_and_answers_once(
    judge: JudgeProcess, session_chain: LocalChain, peers: Iterator[PeerKey]
) -> None:
    key, now = next(peers), current(judge)
    asked = judge.ask(key, now)
    session = asked.json()["session_id"]
    assert judge.ask(key, now).json() == {"error": "QuestionAlreadyAsked"}
    together = await asyncio.gather(*(asyncio.to_thread(judge.answer, session, "1") for _ in range(5)))
    assert sorted(answer.status_code for answer in together) == [200, 409, 409, 409, 409]
    assert judge.answer("0" * 32, "1").status_code == 404
    now = await advance(session_chain, judge)
    assert judge.ask(key, now).status_code == 200
    now = await advance(session_chain, judge)
    assert judge.ask(key, now).json() == {"error": "AnswerPending"}  # of the round before


async def test_many_requests_of_one_peer_at_once_give_one_question(
    judge: JudgeProcess, peers: Iterator[PeerKey]
) -> None:
    key, now = next(peers), current(judge)
    answers = await asyncio.gather(*(asyncio.to_thread(judge.ask, key, now) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 429, 429, 429, 429, 429]


def test_a_late_answer_is_refused_and_scores_nothing(judge: JudgeProcess, peers: Iterator[PeerKey]) -> None:
    key = next(peers)
    session = judge.ask(key, current(judge)).json()
    end = time.monotonic() + 20
    while time.time() < session["expires_at"]:
        time.sleep(0.1)  # the test is about this time passing
    assert judge.answer(session["session_id"], "1").json() == {"error": "AnswerTooLate"}
    while not (rows := judge.get(f"/peers/{key.peer_id}")):
        assert time.monotonic() < end
        time.sleep(0.2)  # between two polls with a deadline
    assert (rows[0]["answers"], rows[0]["score"]) == (1, 0.0)


async def test_questions_cannot_be_copied_or_predicted_and_can_be_checked_afterwards(
    judge: JudgeProcess, session_chain: LocalChain, peers: Iterator[PeerKey]
) -> None:
    now = await advance(session_chain, judge)
    keys = [next(peers) for _ in range(4)]
    sessions = [judge.ask(key, now).json() for key in keys]
    # no two got the same seed: another peer's answer is an answer to another question
    during = judge.get(f"/rounds/{now}")
    assert (during["salt"], during["questions"]) == (None, [])
    for session in sessions:
        judge.answer(session["session_id"], "copied")
    assert judge.get(f"/rounds/{now}")["salt"] is None  # the round still runs
    await advance(session_chain, judge)
    told = judge.get(f"/rounds/{now}")
    salt = bytes.fromhex(told["salt"])
    assert commitment_of(salt) == told["commitment"] == during["commitment"]
    assert len({(entry["dataset"], entry["seed"]) for entry in told["questions"]}) == 4
    assert {entry["question"] for entry in told["questions"]} == {session["question"] for session in sessions}
    for entry in told["questions"]:
        tried = candidates(salt, entry["level"], entry["number"])
        (question,) = [c for c in tried if (c.name, c.seed) == (entry["dataset"], entry["seed"])]
        assert make_entry(question.name, question.seed, question.params)["question"] == entry["question"]
    # knowing this salt tells nothing about the next round's
    assert judge.get(f"/rounds/{now + 1}")["commitment"] != told["commitment"]


def test_right_answers_score_and_stand_on_the_board(judge: JudgeProcess, peers: Iterator[PeerKey]) -> None:
    good, bad = next(peers), next(peers)
    for expected, key in ((1.0, good), (0.0, bad)):
        session = judge.ask(key, current(judge), model="trained").json()
        answer = answer_to(session["question"]) if expected else "no idea"
        assert judge.answer(session["session_id"], f"I think <answer>{answer}</answer>").json() == {"score": expected}
    time.sleep(2.1)  # the board is made anew every two seconds
    board = {row["peer_id"]: row for row in judge.get("/leaderboard")["rows"] if row["model"] == "trained"}
    assert board[good.peer_id]["score"] == 1.0
    assert board[good.peer_id]["low"] >= board[bad.peer_id]["low"] == 0.0
    assert board[good.peer_id]["signed"] is True
    assert judge.get(f"/peers/{good.peer_id}")[0]["swarm_score"] is not None


BOMBS = {
    "a megabyte": (b'{"session_id":"' + b"0" * 32 + b'","round_number":0,"user_answer":"' + b"9" * 2**20 + b'"}', 413),
    "deep nesting": (b'{"user_answer":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 400),
    "deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    "no json": (b"\xff\xfe\x00", 400),
    "wrong types": (b'{"session_id":1,"round_number":"x","user_answer":{}}', 400),
    "a huge number": (
        b'{"session_id":"' + b"0" * 32 + b'","round_number":' + b"9" * 20_000 + b',"user_answer":""}',
        400,
    ),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_hostile_bodies_are_refused_at_once(judge: JudgeProcess, name: str) -> None:
    body, status = BOMBS[name]
    began = time.perf_counter()
    answer = httpx.post(judge.url + "/submit-answer/", content=body, timeout=10.0, trust_env=False)
    assert answer.status_code == status
    assert time.perf_counter() - began < 1.0
    assert len(answer.content) < 200


def test_hostile_answers_score_nothing_and_leave_the_judge_as_it_was(
    judge: JudgeProcess, peers: Iterator[PeerKey]
) -> None:
    for answer in (
        "9**9**9**9",
        "<answer>" * 5000 + "</answer>",
        "(" * 20_000,
        "\x00\ud7ff" * 1000,
        "1e999",
        "٣٣٣٣",  # digits to Python, and more than any right answer of this level
        "-" * 500,
    ):
        session = judge.ask(next(peers), current(judge)).json()["session_id"]
        assert judge.answer(session, answer).json() == {"score": 0.0}


def test_what_is_asked_survives_a_kill(judge: JudgeProcess, peers: Iterator[PeerKey]) -> None:
    key = next(peers)
    session = judge.ask(key, current(judge)).json()["session_id"]
    judge.stop(kill=True)
    judge.start()
    assert judge.ask(key, current(judge)).status_code == 429
    assert judge.answer(session, "1").status_code in (200, 410)  # 410: the start took longer than the answer may


def test_the_interface_is_described(judge: JudgeProcess) -> None:
    paths = judge.get("/openapi.json")["paths"]
    assert {"/request-question/", "/submit-answer/", "/current_clue/", "/leaderboard", "/games", "/healthz"} <= set(
        paths
    )
    text = httpx.get(judge.url + "/metrics", timeout=5.0, trust_env=False).text
    assert "rlswarm_judge_questions_total" in text
    assert judge.get("/current_clue/")["game_id"] == -1

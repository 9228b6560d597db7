"""The outbox against a real chain: each intent on chain exactly once, whatever dies or lies on the way."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.support.chains import LocalChain, rpc
from tests.support.login_service import Daemon, FaultyRpc, Login, wait_until

from swarm_chain import calls
from swarm_core.identity import PeerKey

ASYNC = {"prefer": "respond-async"}
# the rate of 3,000 intents in five minutes, which `make chaos-outbox` drains; the service starts within the time
DRAINED, DRAIN_RATE, START_SECONDS = 400, 10, 30


async def _advance(chain: LocalChain, rounds: int) -> None:
    client = chain.client()
    keeper = chain.role(client, "stage-manager")
    for _ in range(rounds):
        await keeper.send(calls.update_stage_and_round())
    await client.close()


async def _on_chain(chain: LocalChain, key: PeerKey) -> tuple[int, int]:
    """(sum of rewards, rounds voted in) of a peer."""
    client = chain.client()
    try:
        return (await client.total_rewards([key.peer_id]))[0], await client.vote_count(key.peer_id)
    finally:
        await client.close()


def _reward(key: PeerKey, number: int) -> dict[str, object]:
    amount = number % 7 + 1
    return {"orgId": "local", "peerId": key.peer_id, "roundNumber": number, "stageNumber": 0, "reward": amount}


def _vote(key: PeerKey, number: int, winner: PeerKey) -> dict[str, object]:
    return {"orgId": "local", "peerId": key.peer_id, "roundNumber": number, "winners": [winner.peer_id]}


def _submit(login: Login, path: str, body: dict[str, object]) -> None:
    """As the worker does: until the service says that it is on disk."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with login.api() as api:
                answer = api.post(path, json=body, headers=ASYNC)
            assert answer.status_code in (200, 202), answer.text
            return
        except (httpx.TransportError, FileNotFoundError):
            assert time.monotonic() < deadline
            time.sleep(0.05)  # between two tries with a deadline


def _settled(login: Login) -> bool:
    try:
        return not any(login.status().pending.values())
    except httpx.TransportError:
        return False


def test_200_intents_over_a_faulty_rpc_and_kills_arrive_exactly_once(
    make_login: Callable[..., Login],
    make_daemon: Callable[[Path, PeerKey], Daemon],
    peer_keys: list[PeerKey],
    chain: LocalChain,
    faulty_rpc: FaultyRpc,
) -> None:
    rounds = 50
    asyncio.run(_advance(chain, rounds))
    faulty_rpc.drop, faulty_rpc.lose_send_reply, faulty_rpc.unavailable = 0.10, 0.40, 0.03
    chance = random.Random(7)
    login = make_login(mode="auto", rpc_url=faulty_rpc.url)
    for key, socket in zip(peer_keys, ("run/dht.sock", "run/peers/1/dht.sock"), strict=True):
        make_daemon(login.directory / socket, key)
    login.start()
    account = login.status().account
    kills = 0
    for number in range(rounds):
        for key in peer_keys:
            _submit(login, "submit-reward", _reward(key, number))
            _submit(login, "submit-winner", _vote(key, number, peer_keys[0]))
        if number % 7 == 3:
            time.sleep(chance.uniform(0.0, 0.4))  # so that kills meet different moments
            login.kill()
            login.start()
            kills += 1
    assert kills == 7
    faulty_rpc.drop = faulty_rpc.lose_send_reply = faulty_rpc.unavailable = 0.0
    wait_until(lambda: _settled(login), 60)
    status = login.status()
    assert status.account == account
    assert status.submissions == {
        "register": {"delivered": 2}, "reward": {"delivered": 2 * rounds}, "winner": {"delivered": 2 * rounds},
    }  # fmt: skip
    expected = sum(number % 7 + 1 for number in range(rounds))
    for peer, key in zip(sorted(status.peers, key=lambda p: p.node), peer_keys, strict=True):
        assert peer.delivered_total == expected
        assert asyncio.run(_on_chain(chain, key)) == (expected, rounds)
    assert account is not None
    used = int(str(rpc(chain.rpc_url, "eth_getTransactionCount", account, "latest")), 16)
    assert used == 2 + 4 * rounds, "no transaction was wasted and none is missing"


def test_a_chain_that_went_back_gets_again_what_it_lost(
    make_login: Callable[..., Login],
    make_daemon: Callable[[Path, PeerKey], Daemon],
    peer_keys: list[PeerKey],
    chain: LocalChain,
) -> None:
    asyncio.run(_advance(chain, 20))
    login = make_login(mode="auto")
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    login.start()
    before = rpc(chain.rpc_url, "evm_snapshot")
    for number in range(6):
        _submit(login, "submit-reward", _reward(peer_keys[0], number))
    wait_until(lambda: _settled(login), 30)
    middle = rpc(chain.rpc_url, "evm_snapshot")
    for number in range(6, 12):
        _submit(login, "submit-reward", _reward(peer_keys[0], number))
    wait_until(lambda: _settled(login), 30)
    total = sum(number % 7 + 1 for number in range(12))

    def whole() -> bool:
        return asyncio.run(_on_chain(chain, peer_keys[0]))[0] == total and _settled(login)

    for snapshot in (middle, before):  # first some rewards are lost, then the registration too
        assert rpc(chain.rpc_url, "evm_revert", snapshot) is True
        assert asyncio.run(_on_chain(chain, peer_keys[0]))[0] < total
        asyncio.run(_advance(chain, 1))  # the chain goes on without us
        wait_until(whole, 30)
        assert login.status().peers[0].delivered_total == total


def test_waiting_intents_drain_at_ten_a_second(
    make_login: Callable[..., Login],
    make_daemon: Callable[[Path, PeerKey], Daemon],
    peer_keys: list[PeerKey],
    chain: LocalChain,
) -> None:
    asyncio.run(_advance(chain, DRAINED // 4))
    login = make_login(mode="page")
    for key, socket in zip(peer_keys, ("run/dht.sock", "run/peers/1/dht.sock"), strict=True):
        make_daemon(login.directory / socket, key)
    login.start()
    with login.api() as api:
        for number in range(DRAINED // 4):
            for key in peer_keys:
                assert api.post("submit-reward", json=_reward(key, number), headers=ASYNC).status_code == 202
                vote = _vote(key, number, peer_keys[0])
                assert api.post("submit-winner", json=vote, headers=ASYNC).status_code == 202
    assert sum(login.status().pending.values()) == DRAINED
    login.stop()
    login.mode = "auto"
    started = time.monotonic()
    login.start()
    wait_until(lambda: _settled(login), DRAINED / DRAIN_RATE + START_SECONDS, pause=0.2)
    seconds = time.monotonic() - started
    print(f"drained {DRAINED} intents in {seconds:.0f} s, {DRAINED / seconds:.0f} per second")
    assert login.status().submissions["reward"] == {"delivered": DRAINED // 2}
    assert login.status().memory_rss < 150e6


def test_a_wrong_chain_parks_and_the_right_one_resumes(
    make_login: Callable[..., Login],
    make_daemon: Callable[[Path, PeerKey], Daemon],
    peer_keys: list[PeerKey],
    chain: LocalChain,
    start_anvil: Callable[[], object],
) -> None:
    other = start_anvil()  # same chain id, other genesis time, no contract
    login = make_login(mode="auto", rpc_url=other.url)  # type: ignore[attr-defined]
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    login.start()
    _submit(login, "submit-reward", _reward(peer_keys[0], 0))
    status = wait_until(lambda: (s := login.status()).state == "wrong_chain" and s, 20)
    assert "genesis" in status.reason
    assert status.remedy
    assert status.pending["reward"] == 1
    assert login.stop() == 0
    login.rpc_url = chain.rpc_url
    login.start()
    wait_until(lambda: login.status().peers[0].delivered_total == 1, 20)

    nobody = make_login("nobody", mode="auto", environment={"SWARM_COORDINATOR": "0x" + "11" * 20}).start()
    wrong = wait_until(lambda: (s := nobody.status()).state == "wrong_chain" and s, 20)
    assert "no contract" in wrong.reason


def test_a_peer_of_another_account_is_held_loudly(
    make_login: Callable[..., Login],
    make_daemon: Callable[[Path, PeerKey], Daemon],
    peer_keys: list[PeerKey],
    chain: LocalChain,
) -> None:
    async def take() -> None:
        client = chain.client()
        await chain.role(client, "stage-manager").send(calls.register_peer(peer_keys[0].peer_id))
        await client.close()

    asyncio.run(take())
    login = make_login(mode="auto")
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    login.start()
    _submit(login, "submit-reward", _reward(peer_keys[0], 0))
    status = wait_until(lambda: (s := login.status()).state == "owned_by_other" and s, 20)
    assert status.peers[0].remedy
    assert status.pending["reward"] == 1
    with login.api() as api:
        answer = api.post("register-peer", json={"orgId": "local", "peerId": peer_keys[0].peer_id})
        assert (answer.status_code, answer.json()["error"]) == (400, "PeerIdAlreadyRegistered")


@pytest.mark.parametrize("damage", [b"", b'{"address": 1}', b"not json"])
def test_a_damaged_keystore_ends_in_one_sentence_and_nothing_is_overwritten(
    make_login: Callable[..., Login], damage: bytes
) -> None:
    login = make_login(mode="auto").start()
    assert login.stop() == 0
    keystore = login.directory / "keys/account/keystore.json"
    keystore.write_bytes(damage)
    lines = len(login.log.splitlines())
    login.start(wait=False)
    assert login.wait_exit() == 1
    last = login.log.splitlines()[lines:]
    assert len(last) == 1, last
    assert "keystore" in last[0]
    assert "Remedy:" in last[0]
    assert keystore.read_bytes() == damage


def test_two_services_never_share_a_wallet(make_login: Callable[..., Login]) -> None:
    first = make_login(mode="auto").start()
    second = make_login("second", mode="auto")
    second.environment = {"SWARM_KEYS_DIR": str(first.directory / "keys")}
    second.start(wait=False)
    assert second.wait_exit() == 1
    assert "one wallet, one writer" in second.log


def test_outage_of_the_rpc_loses_nothing(
    make_login: Callable[..., Login],
    make_daemon: Callable[[Path, PeerKey], Daemon],
    peer_keys: list[PeerKey],
    chain: LocalChain,
    faulty_rpc: FaultyRpc,
) -> None:
    asyncio.run(_advance(chain, 10))
    login = make_login(mode="auto", rpc_url=faulty_rpc.url)
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    login.start()
    wait_until(lambda: login.status().state == "registered", 20)
    faulty_rpc.down = True
    for number in range(10):
        _submit(login, "submit-reward", _reward(peer_keys[0], number))
    wait_until(lambda: login.status().state == "chain_unreachable", 20)
    faulty_rpc.down = False
    recovered = time.monotonic()
    wait_until(lambda: _settled(login), 20)
    assert time.monotonic() - recovered < 10
    assert asyncio.run(_on_chain(chain, peer_keys[0]))[0] == sum(number % 7 + 1 for number in range(10))

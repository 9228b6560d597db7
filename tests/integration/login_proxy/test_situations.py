"""Foreign owner, no gas, wrong chain, reset chain, wrong address: each ends in its named state, with the remedy on the
page, and no intent is lost: once the trouble is over, what waited is on chain, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.support.chains import Anvil, LocalChain, deploy_chain, rpc
from tests.support.login_service import Daemon, Login, wait_until

from swarm_chain import calls
from swarm_chain.wallet import Wallet
from swarm_core.identity import PeerKey
from swarm_core.status import LoginStatus

MakeLogin = Callable[..., Login]
MakeDaemon = Callable[[Path, PeerKey], Daemon]
WEI_PER_GAS = 10**9


def reward(login: Login, key: PeerKey, amount: int) -> None:
    body = {"orgId": "local", "peerId": key.peer_id, "roundNumber": 0, "stageNumber": 0, "reward": amount}

    def taken() -> bool:
        with login.api() as api:
            answer = api.post("submit-reward", json=body, headers={"prefer": "respond-async"})
        return answer.status_code == 202

    wait_until(taken, 20)


def reached(login: Login, state: str) -> LoginStatus:
    """The status once the service is in `state`; page and socket must give the reason and the remedy."""
    status: LoginStatus = wait_until(lambda: (s := login.status()).state == state and s, 30)
    assert status.reason
    assert status.remedy
    with login.browser() as browser:
        for path in ("/", "/identity"):
            page = browser.get(path)
            assert page.status_code == 200
            text = page.text.replace("&#39;", "'").replace("&#34;", '"')
            assert status.remedy in text, (path, status.remedy)
    return status


def on_chain(chain: LocalChain, key: PeerKey) -> int:
    async def ask() -> int:
        async with chain.client() as client:
            return (await client.total_rewards([key.peer_id]))[0]

    return asyncio.run(ask())


def delivered(login: Login, chain: LocalChain, key: PeerKey, amount: int) -> None:
    """Everything that waited is on chain, once."""
    wait_until(lambda: not any(login.status().pending.values()), 40)
    peer = next(peer for peer in login.status().peers if peer.peer_id == key.peer_id)
    assert (peer.state, peer.delivered_total, on_chain(chain, key)) == ("registered", amount, amount)


def test_a_foreign_owner_holds_the_reward_until_the_right_account_is_there(
    make_login: MakeLogin, make_daemon: MakeDaemon, peer_keys: list[PeerKey], chain: LocalChain
) -> None:
    key, owner = peer_keys[0], b"\x31" * 32

    async def register_elsewhere() -> None:
        async with chain.client() as client:
            await Wallet(client, owner).send(calls.register_peer(key.peer_id))

    asyncio.run(register_elsewhere())
    login = make_login(mode="page")
    make_daemon(login.directory / "run/dht.sock", key)
    login.start()
    password = "correct horse battery"
    with login.browser() as browser:
        form = {"token": login.setup_token(), "password": password, "password_again": password}
        assert browser.post("/claim", data=form).status_code == 303
        reward(login, key, 5)
        status = wait_until(lambda: (s := login.status()).state == "owned_by_other" and s, 30)
        page = browser.get("/identity").text
        assert status.remedy in page
        assert wait_until(lambda: login.status().pending.get("reward") == 1, 5)
        # the remedy: the account that owns the peer is imported, and what was held goes on
        assert browser.post("/identity/key", data={"key": owner.hex()}).status_code == 303
    delivered(login, chain, key, 5)
    assert owner.hex() not in login.log


def test_without_gas_everything_waits_and_is_sent_once_funded(
    make_login: MakeLogin, make_daemon: MakeDaemon, peer_keys: list[PeerKey], chain: LocalChain
) -> None:
    key = peer_keys[0]
    rpc(chain.rpc_url, "anvil_setNextBlockBaseFeePerGas", hex(WEI_PER_GAS))
    rpc(chain.rpc_url, "evm_mine")
    login = make_login(mode="auto")
    make_daemon(login.directory / "run/dht.sock", key)
    login.start()
    reward(login, key, 6)
    status = reached(login, "no_gas")
    assert status.account is not None
    assert status.account in status.remedy
    assert "53855" in status.remedy
    assert (status.pending["register"], status.pending["reward"]) == (1, 1)
    with login.browser() as browser:
        assert "Gas money" in browser.get("/identity").text
    rpc(chain.rpc_url, "anvil_setBalance", status.account, hex(10**18))
    delivered(login, chain, key, 6)
    spent = 10**18 - int(str(rpc(chain.rpc_url, "eth_getBalance", status.account, "latest")), 16)
    assert 0 < spent < 10**16


def test_an_rpc_of_another_chain_id_parks_and_the_right_one_resumes(
    make_login: MakeLogin, make_daemon: MakeDaemon, peer_keys: list[PeerKey], chain: LocalChain, anvil_path: Path
) -> None:
    other = Anvil(anvil_path, chain_id=4242)
    try:
        login = make_login(mode="auto", rpc_url=other.url)
        make_daemon(login.directory / "run/dht.sock", peer_keys[0])
        login.start()
        reward(login, peer_keys[0], 7)
        status = reached(login, "wrong_chain")
        assert "4242" in status.reason
        assert status.pending["reward"] == 1
        # one wrong address among several stands back, the others go on
        login.stop()
        login.rpc_url = f"{other.url},{chain.rpc_url}"
        login.start()
        delivered(login, chain, peer_keys[0], 7)
        assert int(str(rpc(other.url, "eth_blockNumber")), 16) == 0, "nothing was sent to the wrong chain"
    finally:
        other.stop(kill=True)


def test_a_reset_chain_parks_and_a_new_deployment_starts_anew(
    make_login: MakeLogin, make_daemon: MakeDaemon, peer_keys: list[PeerKey], chain: LocalChain, tmp_path: Path
) -> None:
    key = peer_keys[0]
    login = make_login(mode="auto")
    make_daemon(login.directory / "run/dht.sock", key)
    login.start()
    reward(login, key, 8)
    delivered(login, chain, key, 8)
    chain.anvil.stop(kill=True)
    chain.anvil.start()  # without its state: the same chain id, another genesis
    body = {"orgId": "local", "peerId": key.peer_id, "roundNumber": 0, "winners": [key.peer_id]}
    with login.api() as api:
        assert api.post("submit-winner", json=body, headers={"prefer": "respond-async"}).status_code == 202
    status = reached(login, "wrong_chain")
    assert "genesis" in status.reason or "reset" in status.reason
    assert status.pending["winner"] == 1
    chain.deployment_file.unlink()
    again = deploy_chain(chain.anvil, chain.directory)
    wait_until(lambda: login.status().state == "registered", 40)
    # what belonged to the old chain is neither lost nor sent to the new one
    assert login.status().pending.get("winner", 0) == 0
    assert on_chain(again, key) == 0
    reward(login, key, 9)
    delivered(login, again, key, 9)


def test_an_address_without_a_coordinator_parks_and_the_right_one_resumes(
    make_login: MakeLogin, make_daemon: MakeDaemon, peer_keys: list[PeerKey], chain: LocalChain
) -> None:
    from swarm_chain.deployment import read_deployment

    right = read_deployment(chain.deployment_file)
    login = make_login(mode="auto", environment={"SWARM_COORDINATOR": "0x" + "11" * 20})
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    login.start()
    reward(login, peer_keys[0], 10)
    assert "no contract" in reached(login, "wrong_chain").reason
    login.stop()
    login.environment["SWARM_COORDINATOR"] = right.market  # code, but no coordinator
    login.start()
    assert "no coordinator" in reached(login, "wrong_chain").reason
    account = login.status().account
    assert account is not None
    assert int(str(rpc(chain.rpc_url, "eth_getTransactionCount", account, "latest")), 16) == 0, "nothing was sent"
    login.stop()
    login.environment["SWARM_COORDINATOR"] = right.coordinator
    login.start()
    # an address is part of an intent's key: what was meant for a wrong one is held, and told
    reward(login, peer_keys[0], 10)
    delivered(login, chain, peer_keys[0], 10)


def test_the_first_rpc_is_used_again_when_it_is_back(
    make_login: MakeLogin, make_daemon: MakeDaemon, peer_keys: list[PeerKey], chain: LocalChain
) -> None:
    login = make_login(mode="auto", rpc_url=f"http://127.0.0.1:1,{chain.rpc_url}")
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    login.start()
    reward(login, peer_keys[0], 3)
    delivered(login, chain, peer_keys[0], 3)
    with login.browser() as browser:
        page = browser.get("/identity")
        assert "http://127.0.0.1:1" in page.text
        assert httpx.URL(chain.rpc_url).host in page.text

"""The client against a real chain: what is written is read back, and what is wrong is told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.chains import CHAIN_ID, Anvil, LocalChain
from tests.support.ports import free_port

from swarm_chain import calls
from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, NoDeployment, RpcRefused, WrongChain, WrongContract
from swarm_chain.records import Fees, RoundInfo
from swarm_chain.settings import ChainSettings
from swarm_chain.wallet import Wallet, sign
from swarm_core.errors import Unavailable

PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


async def test_a_peer_of_an_unfunded_account_is_registered_rewarded_and_voted_for(chain: LocalChain) -> None:
    client = chain.client()
    await client.preflight()
    wallet = Wallet(client, bytes([1] * 32))
    assert await client.balance(wallet.address) == 0
    assert await client.fees() == Fees(max_fee=0, priority=0)
    registered = await wallet.send(calls.register_peer(PEER))
    assert await client.block_hash(registered.block) == registered.block_hash
    await wallet.send(calls.submit_reward(0, 0, -7, PEER))
    await wallet.send(calls.submit_winners(0, [PEER], PEER))
    assert await client.owners([PEER, "unknown"]) == [wallet.address, None]
    assert await client.peers_of(wallet.address) == [PEER]
    assert await client.total_rewards([PEER, "unknown"]) == [-7, 0]
    assert await client.has_reward(0, 0, PEER)
    assert not await client.has_reward(1, 0, PEER)
    assert await client.votes_of(0, PEER) == [PEER]
    assert (await client.wins(PEER), await client.vote_count(PEER)) == (1, 1)
    assert await client.nonce(wallet.address, "pending") == 3
    head = await client.block()
    assert await client.round_and_stage() == RoundInfo(round=0, stage=0, block=head.number)
    assert await client.receipt("0x" + "00" * 32) is None
    assert await client.block_hash(head.number + 1) is None
    await client.close()


async def test_reverts_carry_the_name_of_the_custom_error(chain: LocalChain) -> None:
    client = chain.client()
    wallet = Wallet(client, bytes([2] * 32))
    with pytest.raises(ContractError) as told:
        await client.simulate(wallet.address, calls.submit_reward(5, 0, 1, PEER))
    assert told.value.name == "InvalidRoundNumber"
    with pytest.raises(ContractError) as told:
        await client.estimate_gas(wallet.address, calls.update_stage_and_round())
    assert told.value.name == "OnlyStageManager"
    assert await client.simulate(wallet.address, calls.register_peer(PEER)) == b""
    await client.close()


async def test_sending_the_same_bytes_again_is_told_apart_from_failure(chain: LocalChain) -> None:
    client = chain.client()
    wallet = Wallet(client, bytes([3] * 32))
    signed = sign(
        wallet.account,
        chain_id=CHAIN_ID,
        nonce=0,
        gas=300_000,
        fees=await client.fees(),
        data=calls.register_peer(PEER),
        to=client.coordinator,
    )
    assert await client.send_raw(signed.raw) == signed.hash
    with pytest.raises(RpcRefused) as refused:
        await client.send_raw(signed.raw)
    assert refused.value.reason in ("already_known", "nonce_too_low")
    receipt = await client.receipt(signed.hash)
    assert receipt is not None
    assert receipt.ok
    await client.close()


async def test_preflight_names_what_is_wrong(chain: LocalChain, tmp_path: Path) -> None:
    async def preflight(**changes: object) -> None:
        base: dict[str, object] = {"rpc_url": chain.rpc_url, "deployment_file": chain.deployment_file}
        async with ChainClient(ChainSettings(**(base | changes))) as client:  # type: ignore[arg-type]
            await client.preflight()

    await preflight()
    with pytest.raises(WrongChain, match="SWARM_CHAIN_ID is 1"):
        await preflight(chain_id=1, coordinator="0x" + "11" * 20)
    with pytest.raises(WrongContract, match="no contract at"):
        await preflight(coordinator="0x" + "11" * 20)
    with pytest.raises(WrongContract, match="no coordinator"):
        await preflight(coordinator="0x4e59b44847b379578588920ca78fbf26c0b4956c")
    with pytest.raises(NoDeployment):
        await preflight(deployment_file=tmp_path / "none.json")
    reset = tmp_path / "reset.json"
    deployment = json.loads(chain.deployment_file.read_text())
    reset.write_text(json.dumps(deployment | {"genesis_hash": "0x" + "ab" * 32}))
    with pytest.raises(WrongChain, match="was reset"):
        await preflight(deployment_file=reset)
    with pytest.raises(Unavailable):
        await preflight(rpc_url=f"http://127.0.0.1:{free_port()}")


async def test_a_second_rpc_url_stands_in_for_a_dead_first_one(chain: LocalChain) -> None:
    urls = f"http://127.0.0.1:{free_port()},{chain.rpc_url}"
    client = ChainClient(ChainSettings(rpc_url=urls, deployment_file=chain.deployment_file))
    await client.preflight()
    assert (await client.round_and_stage()).round == 0
    await client.close()


async def test_a_chain_that_comes_back_is_used_again(anvil: Anvil, chain: LocalChain) -> None:
    async with chain.client() as client:
        await client.preflight()
        anvil.stop(kill=True)
        with pytest.raises(Unavailable):
            await client.round_and_stage()
        anvil.start()  # without state: the chain was reset
        with pytest.raises(WrongContract):
            await client.round_and_stage()
        with pytest.raises(WrongChain, match="was reset"):
            await client.preflight()

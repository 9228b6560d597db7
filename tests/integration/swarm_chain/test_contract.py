"""SwarmCoordinator on a real chain: what each function means, and every way it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.chains import LocalChain

from swarm_chain import abi, artifacts, calls
from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError
from swarm_chain.wallet import Wallet

STRANGER = "0x" + "77" * 20
# a contract that is no implementation: anvil puts it on every new chain
NO_IMPLEMENTATION = "0x4e59b44847b379578588920ca78fbf26c0b4956c"
UNSIGNED_REWARD = "submitReward(uint256,uint256,uint256,string)"


class Host:
    """A coordinator with its three role holders and two accounts: `alice` owns a1 and a2, `bob` owns b1."""

    def __init__(self, chain: LocalChain, client: ChainClient) -> None:
        self.client = client
        self.owner = chain.role(client, "owner")
        self.stage_manager = chain.role(client, "stage-manager")
        self.bootnode_manager = chain.role(client, "bootnode-manager")
        self.alice = Wallet(client, bytes([21] * 32))
        self.bob = Wallet(client, bytes([22] * 32))

    async def set_up(self) -> None:
        for wallet, peer in ((self.alice, "a1"), (self.alice, "a2"), (self.bob, "b1")):
            await wallet.send(calls.register_peer(peer))

    async def next_round(self, times: int = 1) -> None:
        for _ in range(times):
            await self.stage_manager.send(calls.update_stage_and_round())

    async def read(self, signature: str, *arguments: object) -> object:
        result = abi.decode_result(
            signature, await self.client.simulate(STRANGER, abi.encode_call(signature, *arguments))
        )
        return result[0] if len(result) == 1 else result

    async def refuses(self, wallet: Wallet | str, name: str, data: bytes) -> None:
        """The call from this account reverts with exactly this error."""
        account = wallet if isinstance(wallet, str) else wallet.address
        with pytest.raises(ContractError) as told:
            await self.client.simulate(account, data)
        assert told.value.name == name


@pytest.fixture
async def host(chain: LocalChain) -> AsyncIterator[Host]:
    """A coordinator in round 0 with three peers."""
    async with chain.client() as client:
        host = Host(chain, client)
        await host.set_up()
        yield host


async def test_registration(host: Host) -> None:
    assert await host.client.peers_of(host.alice.address) == ["a1", "a2"]
    assert await host.client.owners(["b1", "none"]) == [host.bob.address, None]
    await host.refuses(host.bob, "PeerIdAlreadyRegistered", calls.register_peer("a1"))
    await host.refuses(host.alice, "PeerIdAlreadyRegistered", calls.register_peer("a1"))
    for bad in ("", "x" * 129, "with space", "line\nfeed", "ümlaut"):
        await host.refuses(host.bob, "InvalidVoterPeerId", calls.register_peer(bad))
    await host.bob.send(calls.register_peer("x" * 128))


async def test_rounds_advance_for_stage_managers_only(host: Host) -> None:
    await host.refuses(host.alice, "OnlyStageManager", calls.update_stage_and_round())
    await host.next_round(2)
    info = await host.client.round_and_stage()
    assert (info.round, info.stage) == (2, 0)
    assert await host.read("stageCount()") == 1


async def test_a_reward_counts_once_per_peer_and_adds_up_per_account(host: Host) -> None:
    await host.next_round()
    await host.alice.send(calls.submit_reward(1, 0, 5, "a1"))
    assert not await host.client.has_reward(1, 0, "a2")
    await host.alice.send(calls.submit_reward(1, 0, -8, "a2"))
    await host.bob.send(abi.encode_call(UNSIGNED_REWARD, 0, 0, 7, "b1"))
    assert await host.client.total_rewards(["a1", "a2", "b1"]) == [5, -8, 7]
    accounts = [host.alice.address, host.bob.address]
    assert await host.read("getRoundStageReward(uint256,uint256,address[])", 1, 0, accounts) == (-3, 0)
    submitted = "hasSubmittedRoundStageReward(uint256,uint256,address)"
    assert await host.read(submitted, 1, 0, host.alice.address) is True
    assert await host.read(submitted, 1, 0, host.bob.address) is False
    await host.refuses(host.alice, "RewardAlreadySubmitted", calls.submit_reward(1, 0, 5, "a1"))
    # the duplicate is told before the owner is looked at
    await host.refuses(host.bob, "RewardAlreadySubmitted", calls.submit_reward(1, 0, 5, "a1"))


async def test_rewards_that_are_refused(host: Host) -> None:
    await host.next_round()
    await host.refuses(host.alice, "InvalidRoundNumber", calls.submit_reward(2, 0, 1, "a1"))
    for round_number in (0, 1):
        await host.refuses(host.alice, "InvalidStageNumber", calls.submit_reward(round_number, 1, 1, "a1"))
    await host.refuses(host.bob, "InvalidVoterPeerId", calls.submit_reward(1, 0, 1, "a1"))
    await host.refuses(host.bob, "InvalidVoterPeerId", calls.submit_reward(1, 0, 1, "nobody"))
    for reward in (1_000_001, -1_000_001, 2**255 - 1, -(2**255)):
        await host.refuses(host.alice, "InvalidVote", calls.submit_reward(1, 0, reward, "a1"))
    for reward in (1_000_001, 2**255, 2**256 - 1):
        await host.refuses(host.alice, "InvalidVote", abi.encode_call(UNSIGNED_REWARD, 1, 0, reward, "a1"))
    await host.alice.send(calls.submit_reward(1, 0, -1_000_000, "a1"))
    await host.alice.send(abi.encode_call(UNSIGNED_REWARD, 1, 0, 1_000_000, "a2"))


async def test_votes(host: Host) -> None:
    await host.alice.send(calls.submit_winners(0, ["b1", "a1"], "a1"))
    await host.bob.send(calls.submit_winners(0, ["b1"], "b1"))
    assert await host.client.votes_of(0, "a1") == ["b1", "a1"]
    assert await host.client.votes_of(0, "a2") == []
    assert await host.read("getPeerVoteCount(uint256,string)", 0, "b1") == 2
    assert [await host.client.wins(peer) for peer in ("a1", "a2", "b1")] == [1, 0, 2]
    assert [await host.client.vote_count(peer) for peer in ("a1", "a2", "b1")] == [1, 0, 1]
    assert await host.read("uniqueVoters()") == 2
    assert await host.read("uniqueVotedPeers()") == 2


async def test_votes_that_are_refused(host: Host) -> None:
    await host.refuses(host.alice, "InvalidRoundNumber", calls.submit_winners(1, ["b1"], "a1"))
    await host.refuses(host.bob, "InvalidVoterPeerId", calls.submit_winners(0, ["b1"], "a1"))
    await host.refuses(host.alice, "InvalidVote", calls.submit_winners(0, [], "a1"))
    await host.refuses(host.alice, "InvalidVote", calls.submit_winners(0, ["b1", "b1"], "a1"))
    await host.refuses(host.alice, "InvalidVote", calls.submit_winners(0, ["b1", "unregistered"], "a1"))
    many = [f"p{number}" for number in range(11)]
    for peer in many:
        await host.bob.send(calls.register_peer(peer))
    await host.refuses(host.alice, "InvalidVote", calls.submit_winners(0, many, "a1"))
    await host.alice.send(calls.submit_winners(0, many[:10], "a1"))
    await host.refuses(host.alice, "WinnerAlreadyVoted", calls.submit_winners(0, ["b1"], "a1"))
    await host.refuses(host.bob, "WinnerAlreadyVoted", calls.submit_winners(0, ["b1"], "a1"))


async def test_reports_are_accepted_for_a_window_of_past_rounds(host: Host) -> None:
    await host.refuses(host.alice, "OnlyOwner", calls.set_limits(10, 2))
    await host.owner.send(calls.set_limits(10, 2))
    assert await host.client.limits() == (10, 2)
    await host.next_round(3)
    await host.refuses(host.alice, "InvalidRoundNumber", calls.submit_reward(0, 0, 1, "a1"))
    await host.refuses(host.alice, "InvalidRoundNumber", calls.submit_winners(0, ["b1"], "a1"))
    await host.refuses(host.alice, "InvalidVote", calls.submit_reward(1, 0, 11, "a1"))
    await host.alice.send(calls.submit_reward(1, 0, 10, "a1"))
    await host.alice.send(calls.submit_winners(1, ["b1"], "a1"))


async def test_leaderboards_are_ordered_and_paged(host: Host) -> None:
    for times, voter, winner in ((1, host.bob, "a1"), (3, host.alice, "a2"), (2, host.alice, "b1")):
        for _ in range(times):
            await host.next_round()
            now = (await host.client.round_and_stage()).round
            await voter.send(calls.submit_winners(now, [winner], "b1" if voter is host.bob else "a1"))
    board = "winnerLeaderboard(uint256,uint256)"
    assert await host.read(board, 0, 100) == (("a2", "b1", "a1"), (3, 2, 1))
    assert await host.read(board, 1, 2) == (("b1",), (2,))
    assert await host.read(board, 2, 2**256 - 1) == (("a1",), (1,))
    assert await host.read(board, 3, 9) == ((), ())
    assert await host.read(board, 2, 1) == ((), ())
    assert await host.read("voterLeaderboard(uint256,uint256)", 0, 10) == (("a1", "b1"), (5, 1))


async def test_bootnodes(host: Host) -> None:
    manager = host.bootnode_manager
    for data in (
        calls.add_bootnodes(["/a"]),
        calls.remove_bootnode(0),
        abi.encode_call("clearBootnodes()"),
    ):
        await host.refuses(host.alice, "OnlyBootnodeManager", data)
    await manager.send(calls.add_bootnodes(["/a", "/b", "/c"]))
    await host.refuses(manager, "InvalidBootnodeIndex", calls.remove_bootnode(3))
    await manager.send(calls.remove_bootnode(0))
    assert await host.client.bootnodes() == ["/c", "/b"]
    assert await host.read("getBootnodesCount()") == 2
    for bad in (["/x"] * 31, [""], ["/" * 257], ["/with space"]):
        await host.refuses(manager, "InvalidBootnodeIndex", calls.add_bootnodes(bad))
    await manager.send(calls.add_bootnodes(["/x"] * 30))
    await manager.send(abi.encode_call("clearBootnodes()"))
    assert await host.client.bootnodes() == []


async def test_roles_are_the_owners_business(host: Host) -> None:
    stage, owner = abi.role("STAGE_MANAGER_ROLE"), abi.role("OWNER_ROLE")
    for data in (calls.grant_role(stage, STRANGER), calls.revoke_role(stage, STRANGER)):
        await host.refuses(host.stage_manager, "OnlyOwner", data)
    await host.owner.send(calls.grant_role(stage, host.bob.address))
    await host.bob.send(calls.update_stage_and_round())
    await host.owner.send(calls.revoke_role(stage, host.bob.address))
    await host.refuses(host.bob, "OnlyStageManager", calls.update_stage_and_round())
    await host.refuses(host.owner, "OnlyOwner", calls.revoke_role(owner, host.owner.address))
    await host.owner.send(calls.grant_role(owner, host.bob.address))
    await host.bob.send(calls.revoke_role(owner, host.owner.address))
    assert not await host.client.has_role("OWNER_ROLE", host.owner.address)


async def test_initialisation_and_upgrades_are_closed(host: Host, chain: LocalChain) -> None:
    await host.refuses(host.owner, "InvalidInitialization", calls.initialize(STRANGER))
    code = artifacts.load("SwarmCoordinator").bytecode
    implementation = (await host.owner.send_to(None, code)).contract
    assert implementation is not None
    with pytest.raises(ContractError) as told:
        await host.client.estimate(STRANGER, calls.initialize(STRANGER), implementation)
    assert told.value.name == "InvalidInitialization"
    with pytest.raises(ContractError) as told:
        await host.client.estimate(STRANGER, calls.upgrade(implementation), implementation)
    assert told.value.name == "UUPSUnauthorizedCallContext"
    await host.refuses(host.stage_manager, "OnlyOwner", calls.upgrade(implementation))
    await host.refuses(host.owner, "ERC1967InvalidImplementation", calls.upgrade(NO_IMPLEMENTATION))
    await host.owner.send(calls.upgrade(implementation))
    assert await host.client.peers_of(host.bob.address) == ["b1"]

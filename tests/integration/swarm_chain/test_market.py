"""PredictionMarket on a real chain: what each function means, every way it refuses, and what a call costs.

The last test fails when the contract has an error that no test here has seen.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.chains import Anvil, LocalChain, deploy_chain, rpc
from tests.support.market_host import STRANGER, MarketHost, Secrets

from swarm_chain import abi, artifacts, calls, commitment
from swarm_chain.deploy import deploy
from swarm_chain.deployment import read_deployment
from swarm_chain.market import Bet, GameStatus

DAY = 86_400
GRANT = 1_000_000
ONE = 10**18
# what upstream's plain reveal looks like
PLAIN_REVEAL = "revealAnswer(uint256,uint256,uint256)"


@pytest.fixture(scope="module")
def one_chain(anvil_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    """A chain for all tests here; `host` puts it back after each."""
    anvil = Anvil(anvil_path)
    try:
        yield deploy_chain(anvil, tmp_path_factory.mktemp("market"))
    finally:
        anvil.stop(kill=True)


@pytest.fixture
async def host(one_chain: LocalChain) -> AsyncIterator[MarketHost]:
    """A market with four peers and no game yet."""
    snapshot = rpc(one_chain.rpc_url, "evm_snapshot")
    async with one_chain.client() as client:
        host = MarketHost(one_chain, client)
        await host.set_up()
        yield host
    assert rpc(one_chain.rpc_url, "evm_revert", snapshot) is True


def later(chain: LocalChain, seconds: int) -> None:
    """Let the chain's clock run ahead."""
    rpc(chain.rpc_url, "evm_increaseTime", seconds)
    rpc(chain.rpc_url, "evm_mine")


async def test_an_early_bet_on_the_answer_gets_the_larger_share(host: MarketHost) -> None:
    secrets = Secrets()
    game = await host.new_game(secrets)
    await host.send(host.master, secrets.clue_call(game, 0))
    await host.bet(host.alice, "a1", game, 0, 1, 600)
    await host.bet(host.bob, "b1", game, 0, 3, 500)
    await host.next_round(game)
    await host.send(host.master, secrets.clue_call(game, 1))
    await host.bet(host.alice, "a2", game, 1, 1, 600)
    await host.next_round(game)
    await host.bet(host.carol, "c1", game, 2, 1, 600)
    assert await host.market.supplies(game, 4) == [0, 600 * ONE + 300 * ONE + 200 * ONE, 0, 500 * ONE]
    await host.next_round(game)
    await host.send(host.master, secrets.answer_call(game))
    found = await host.market.game(game)
    assert (found.status, found.answer, found.pool) == (GameStatus.REVEALED, 1, 2300)
    assert [await host.market.claimable(game, peer) for peer in ("a1", "a2", "b1", "c1")] == [1254, 627, 0, 418]
    for wallet, peer in ((host.alice, "a1"), (host.alice, "a2"), (host.carol, "c1")):
        await host.send(wallet, calls.claim_reward(game, peer))
    found = await host.market.game(game)
    assert found.paid == 2299  # one token is left of three roundings
    assert await host.market.total_paid("a1") == 1254
    assert await host.market.has_claimed(game, "a1")
    await host.refuses(host.alice, "AlreadyClaimed", calls.claim_reward(game, "a1"))
    await host.refuses(host.bob, "NothingToClaim", calls.claim_reward(game, "b1"))
    assert await host.market.claimable(game, "a1") == 0


async def test_each_peer_has_the_same_tokens_in_every_game(host: MarketHost) -> None:
    assert await host.market.bet_token_balance("a1") == 0
    first = await host.new_game(Secrets())
    assert await host.market.bet_token_balance("a1") == GRANT
    assert await host.market.bet_token_balance("nobody") == 0
    await host.bet(host.alice, "a1", first, 0, 0, 400)
    assert await host.market.bet_token_balance("a1") == GRANT - 400
    assert await host.market.bet_of(first, 0, "a1") == Bet(choice=0, amount=400)
    assert await host.market.bet_of(first, 0, "a2") is None
    second = await host.new_game(Secrets(seed=1))
    assert await host.market.bet_token_balance("a1") == GRANT
    await host.bet(host.alice, "a1", second, 0, 0, GRANT)
    assert await host.market.bet_token_balance("a1") == 0
    await host.bet(host.alice, "a2", first, 0, 0, 1)  # an older game that is still open takes bets
    assert await host.market.spent(first, "a1") == 400
    assert await host.market.bet_token_balance("a2") == GRANT


async def test_bets_that_are_refused(host: MarketHost, one_chain: LocalChain) -> None:
    game = await host.new_game(Secrets())

    def guess(peer: str = "a1", number: int = game, round_index: int = 0, choice: int = 0, bet: int = 1) -> bytes:
        return calls.guess_answer(number, peer, round_index, choice, bet)

    await host.refuses(host.alice, "NoSuchGame", guess(number=game + 1))
    await host.refuses(host.bob, "NotPeerOwner", guess())
    await host.refuses(host.bob, "NotPeerOwner", guess("nobody"))
    await host.refuses(host.alice, "InvalidRound", guess(round_index=1))
    await host.refuses(host.alice, "InvalidChoice", guess(choice=4))
    await host.refuses(host.alice, "InvalidBet", guess(bet=0))
    for bet in (GRANT + 1, 2**128, 2**256 - 1):
        await host.refuses(host.alice, "NotEnoughBetTokens", guess(bet=bet))
    await host.send(host.alice, guess(bet=GRANT))
    await host.refuses(host.alice, "AlreadyGuessed", guess(choice=1))
    await host.next_round(game)
    await host.refuses(host.alice, "AlreadyGuessed", guess())  # also when the round is over: it did arrive
    await host.refuses(host.alice, "InvalidRound", guess("a2"))
    await host.refuses(host.alice, "NotEnoughBetTokens", guess(round_index=1))
    await host.next_round(game, 2)
    await host.refuses(host.alice, "GameNotOpen", guess("a2", round_index=3))
    await host.refuses(host.alice, "GameNotOpen", guess("a2", round_index=2))
    await host.refuses(host.alice, "AnswerNotRevealed", calls.claim_reward(game, "a1"))
    await host.refuses(STRANGER, "AnswerNotRevealed", abi.encode_call("claimable(uint256,string)", game, "a1"))
    await host.refuses(host.bob, "NotPeerOwner", calls.claim_reward(game, "a1"))
    await host.refuses(host.alice, "NoSuchGame", calls.claim_reward(game + 1, "a1"))
    overdue = await host.new_game(Secrets(seed=1))
    later(one_chain, DAY + 2)
    await host.refuses(host.alice, "GameNotOpen", guess(number=overdue))


async def test_clues_and_answer_are_what_the_root_commits_to(host: MarketHost) -> None:
    secrets = Secrets()
    game = await host.new_game(secrets)
    await host.refuses(host.master, "InvalidRound", secrets.clue_call(game, 1))
    await host.refuses(host.master, "InvalidRound", calls.reveal_clue(game, 3, "x", bytes(32), []))
    leaf = secrets.leaves[0]
    proof = secrets.proof(0)
    for bad in (
        calls.reveal_clue(game, 0, "another clue", leaf.salt, proof),
        calls.reveal_clue(game, 0, leaf.text, bytes(32).replace(b"\0", b"\1"), proof),
        calls.reveal_clue(game, 0, leaf.text, leaf.salt, proof[:-1]),
        calls.reveal_clue(game, 0, leaf.text, leaf.salt, [*proof, bytes(32)]),
        calls.reveal_clue(game, 0, leaf.text, leaf.salt, []),
        calls.reveal_clue(game, 0, secrets.leaves[1].text, secrets.leaves[1].salt, secrets.proof(1)),
    ):
        await host.refuses(host.master, "InvalidProof", bad)
    await host.refuses(host.master, "TextTooLong", calls.reveal_clue(game, 0, "x" * 4097, leaf.salt, proof))
    await host.send(host.master, secrets.clue_call(game, 0))
    assert await host.market.is_clue_revealed(game, 0)
    await host.refuses(host.master, "ClueAlreadyRevealed", secrets.clue_call(game, 0))
    await host.refuses(host.master, "GameNotClosed", secrets.answer_call(game))
    await host.next_round(game, 3)
    await host.send(host.master, secrets.clue_call(game, 2))  # a clue that came late is still told
    await host.refuses(host.master, "GameNotOpen", calls.increment_round(game))
    position = len(secrets.clues)
    answer = secrets.leaves[position]
    for choice, text in ((0, answer.text), (1, "3"), (0, "1")):
        lie = calls.reveal_answer(game, choice, text, answer.salt, secrets.proof(position))
        await host.refuses(host.master, "InvalidProof", lie)
    # the leaf of a choice is no answer
    choice_leaf = secrets.leaves[position + 1]
    lie = calls.reveal_answer(game, 0, choice_leaf.text, choice_leaf.salt, secrets.proof(position + 1))
    await host.refuses(host.master, "InvalidProof", lie)
    await host.refuses(host.master, "ProofRequired", abi.encode_call(PLAIN_REVEAL, game, 1, 7))
    await host.send(host.master, secrets.answer_call(game))
    await host.refuses(host.master, "AnswerAlreadyRevealed", secrets.answer_call(game))
    await host.refuses(host.master, "GameNotOpen", calls.increment_round(game))


async def test_python_and_contract_agree_on_commitments(host: MarketHost) -> None:
    for rounds, choices in ((1, 2), (2, 2), (3, 4), (4, 3), (5, 9), (32, 32)):
        secrets = Secrets(
            tuple(f"clue {i} ü" for i in range(rounds)), tuple(f"c{i}" for i in range(choices)), 1, rounds
        )
        game = await host.new_game(secrets)
        assert (await host.market.game(game)).root == secrets.root
        assert await host.market.game_of_root(secrets.root) == game
        for leaf in secrets.leaves:
            proof = secrets.proof(leaf.position)
            signature = "verify(uint256,uint256,uint256,string,bytes32,bytes32[])"
            assert commitment.is_proven(secrets.root, leaf, proof)
            fields = (game, leaf.position, leaf.index, leaf.text, leaf.salt, proof)
            assert await host.read(signature, *fields) is True
            wrong = (game, leaf.position ^ 1, leaf.index, leaf.text, leaf.salt, proof)
            assert await host.read(signature, *wrong) is False
    assert await host.market.game_of_root(b"\1" * 32) is None


async def test_games_without_a_commitment_are_revealed_plainly(host: MarketHost) -> None:
    game = await host.new_game()
    await host.bet(host.alice, "a1", game, 0, 2, 10)
    await host.refuses(host.master, "InvalidProof", calls.reveal_clue(game, 0, "", bytes(32), []))
    await host.next_round(game, 3)
    await host.refuses(host.master, "InvalidChoice", abi.encode_call(PLAIN_REVEAL, game, 4, 7))
    await host.refuses(host.master, "InvalidProof", calls.reveal_answer(game, 2, "", bytes(32), []))
    await host.send(host.master, abi.encode_call(PLAIN_REVEAL, game, 2, 7))
    assert await host.market.claimable(game, "a1") == 10


async def test_games_that_are_not_created(host: MarketHost) -> None:
    for rounds in (0, 33, 2**32 + 1):
        await host.refuses(host.master, "InvalidRoundCount", calls.create_game(rounds, 4, bytes(32)))
    for choices in (0, 1, 33, 2**32 + 4):
        await host.refuses(host.master, "InvalidChoiceCount", calls.create_game(3, choices, bytes(32)))
    await host.new_game(Secrets())
    await host.refuses(host.master, "RootAlreadyUsed", calls.create_game(3, 4, Secrets().root))
    await host.new_game()
    await host.new_game()  # several without a commitment are allowed


async def test_a_game_that_is_never_revealed_gives_every_bet_back(host: MarketHost, one_chain: LocalChain) -> None:
    secrets = Secrets()
    game = await host.new_game(secrets)
    await host.bet(host.alice, "a1", game, 0, 0, 300)
    later(one_chain, DAY - 60)
    await host.next_round(game)  # a round begins the time anew
    later(one_chain, DAY - 60)
    await host.bet(host.alice, "a1", game, 1, 1, 50)
    await host.bet(host.bob, "b1", game, 1, 2, 7)
    await host.next_round(game, 2)
    assert (await host.market.game(game)).status is GameStatus.CLOSED
    later(one_chain, DAY + 2)
    assert (await host.market.game(game)).status is GameStatus.REFUNDABLE
    await host.refuses(host.master, "RevealTooLate", secrets.answer_call(game))
    for wallet, peer, amount in ((host.alice, "a1", 350), (host.bob, "b1", 7)):
        assert await host.market.claimable(game, peer) == amount
        await host.send(wallet, calls.claim_reward(game, peer))
    await host.refuses(host.carol, "NothingToClaim", calls.claim_reward(game, "c1"))
    found = await host.market.game(game)
    assert found.paid == found.pool == 357


async def test_a_game_that_nobody_won_gives_every_bet_back(host: MarketHost) -> None:
    secrets = Secrets()
    game, empty = await host.new_game(secrets), await host.new_game()
    await host.bet(host.alice, "a1", game, 0, 0, 300)
    await host.bet(host.bob, "b1", game, 0, 2, 4)
    await host.next_round(game, 3)
    await host.send(host.master, secrets.answer_call(game))
    assert (await host.market.game(game)).status is GameStatus.REFUNDABLE
    await host.send(host.alice, calls.claim_reward(game, "a1"))
    await host.send(host.bob, calls.claim_reward(game, "b1"))
    assert (await host.market.game(game)).paid == 304
    await host.next_round(empty, 3)
    await host.send(host.master, abi.encode_call(PLAIN_REVEAL, empty, 0, 0))
    assert (await host.market.game(empty)).status is GameStatus.REVEALED
    await host.refuses(host.alice, "NothingToClaim", calls.claim_reward(empty, "a1"))


async def test_only_the_owner_runs_games_and_may_pause(host: MarketHost) -> None:
    secrets = Secrets()
    game = await host.new_game(secrets)
    owners = [
        calls.create_game(3, 4, bytes(32)), calls.increment_round(game), secrets.clue_call(game, 0),
        secrets.answer_call(game), abi.encode_call(PLAIN_REVEAL, game, 0, 0), calls.set_reveal_seconds(60),
        abi.encode_call("pause()"), abi.encode_call("unpause()"), abi.encode_call("renounceOwnership()"),
        abi.encode_call("transferOwnership(address)", STRANGER),
    ]  # fmt: skip
    for data in owners:
        await host.refuses(host.alice, "OwnableUnauthorizedAccount", data)
    await host.bet(host.alice, "a1", game, 0, 1, 5)
    await host.refuses(host.master, "ExpectedPause", abi.encode_call("unpause()"))
    await host.send(host.master, abi.encode_call("pause()"))
    for data in (calls.guess_answer(game, "a1", 0, 0, 1), calls.claim_reward(game, "a1")):
        await host.refuses(host.alice, "EnforcedPause", data)
    for data in (calls.create_game(3, 4, bytes(32)), abi.encode_call("pause()")):
        await host.refuses(host.master, "EnforcedPause", data)
    await host.next_round(game, 3)  # a game ends as it was committed
    await host.send(host.master, secrets.answer_call(game))
    await host.send(host.master, abi.encode_call("unpause()"))
    await host.send(host.alice, calls.claim_reward(game, "a1"))
    for seconds in (0, 9, 30 * DAY + 1):
        await host.refuses(host.master, "InvalidRevealSeconds", calls.set_reveal_seconds(seconds))
    await host.refuses(
        host.master, "OwnableInvalidOwner", abi.encode_call("transferOwnership(address)", "0x" + "00" * 20)
    )
    await host.send(host.master, abi.encode_call("transferOwnership(address)", host.bob.address))
    assert await host.read("owner()") == host.bob.address


async def test_views(host: MarketHost) -> None:
    game = await host.new_game(Secrets())
    assert await host.read("gameStatus(uint256)", game + 1) == GameStatus.NONE
    assert [await host.read("price(uint256,uint256,uint256)", game, r, 0) for r in range(3)] == [ONE, 2 * ONE, 3 * ONE]
    assert await host.read("choiceTokensOut(uint256,uint256,uint256,uint256)", game, 2, 3, 100) == 100 * ONE // 3
    await host.bet(host.alice, "a1", game, 0, 2, 9)
    assert await host.read("choiceTokenBalance(uint256,uint256,string)", game, 2, "a1") == 9 * ONE
    for signature, arguments, name in (
        ("price(uint256,uint256,uint256)", (game, 3, 0), "InvalidRound"),
        ("price(uint256,uint256,uint256)", (game, 0, 4), "InvalidChoice"),
        ("choiceTokensOut(uint256,uint256,uint256,uint256)", (game, 0, 0, GRANT + 1), "NotEnoughBetTokens"),
        ("choiceSupply(uint256,uint256)", (game, 4), "InvalidChoice"),
        ("choiceTokenBalance(uint256,uint256,string)", (game, 4, "a1"), "InvalidChoice"),
        ("choiceCount(uint256)", (game + 1,), "NoSuchGame"),
        ("totalBets(uint256)", (game + 1,), "NoSuchGame"),
        ("currentRoundIdx(uint256)", (game + 1,), "NoSuchGame"),
    ):
        await host.refuses(STRANGER, name, abi.encode_call(signature, *arguments))


async def test_the_market_is_deployed_once_and_follows_its_settings(chain: LocalChain) -> None:
    known = read_deployment(chain.deployment_file)
    assert known.market_sha256 == artifacts.load("PredictionMarket").digest
    await deploy(chain.settings.model_copy(update={"market_reveal_seconds": 60}))
    assert read_deployment(chain.deployment_file) == known
    async with chain.client() as client:
        host = MarketHost(chain, client)
        assert host.market.address == known.market
        assert await host.read("revealSeconds()") == 60
        assert await host.read("SWARM_COORDINATOR()") == known.coordinator
        assert await host.read("owner()") == host.master.address
        game = await host.market.game(await host.new_game(Secrets()))
        assert game.deadline <= time.time() + 61 + 10**6  # the test chain's clock starts in the past


# most gas that a call may cost, with some room; docs/market.md shows what was measured
GAS = {"create": 130_000, "clue": 75_000, "first bet": 190_000, "next bet": 140_000, "round": 45_000, "answer": 75_000,
       "claim": 120_000}  # fmt: skip


async def test_gas(host: MarketHost) -> None:
    secrets = Secrets()
    used = {}
    used["create"] = (await host.send(host.master, calls.create_game(3, 4, secrets.root))).gas_used
    used["clue"] = (await host.send(host.master, secrets.clue_call(0, 0))).gas_used
    used["first bet"] = (await host.bet(host.alice, "a1", 0, 0, 1, 600)).gas_used
    used["round"] = (await host.send(host.master, calls.increment_round(0))).gas_used
    used["next bet"] = (await host.bet(host.alice, "a1", 0, 1, 1, 600)).gas_used
    await host.next_round(0, 2)
    used["answer"] = (await host.send(host.master, secrets.answer_call(0))).gas_used
    used["claim"] = (await host.send(host.alice, calls.claim_reward(0, "a1"))).gas_used
    print("gas", used)
    assert {name: gas for name, gas in used.items() if gas > GAS[name]} == {}


def test_every_error_of_the_contract_is_seen_here() -> None:
    errors = {str(entry["name"]) for entry in artifacts.load("PredictionMarket").abi if entry["type"] == "error"}
    with open(__file__) as source:
        text = source.read()
    assert {name for name in errors if f'"{name}"' not in text} == set()

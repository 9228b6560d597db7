"""Call data of the transactions that a node or the swarm's host sends to coordinator and market.

Each function returns the bytes for a transaction's data field. Rewards are integers and may be negative; bets
are in bet tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm_chain.abi import encode_call
from swarm_chain.abi import error_name as error_name


def register_peer(peer_id: str) -> bytes:
    """Make the sender the owner of `peer_id`."""
    return encode_call("registerPeer(string)", peer_id)


def submit_reward(round_number: int, stage: int, reward: int, peer_id: str) -> bytes:
    """Report the reward of a peer that the sender owns; once per round and stage."""
    return encode_call("submitReward(uint256,uint256,int256,string)", round_number, stage, reward, peer_id)


def submit_winners(round_number: int, winners: Sequence[str], peer_id: str) -> bytes:
    """Vote for 1 to 10 registered peers in the name of a peer that the sender owns; once per round."""
    return encode_call("submitWinners(uint256,string[],string)", round_number, list(winners), peer_id)


def update_stage_and_round() -> bytes:
    """Go on to the next stage or round; stage managers only."""
    return encode_call("updateStageAndRound()")


def add_bootnodes(addresses: Sequence[str]) -> bytes:
    """Append bootnode addresses; bootnode managers only."""
    return encode_call("addBootnodes(string[])", list(addresses))


def remove_bootnode(index: int) -> bytes:
    """Remove one bootnode, the last one takes its place; bootnode managers only."""
    return encode_call("removeBootnode(uint256)", index)


def grant_role(role: bytes, account: str) -> bytes:
    """Give `account` a role (32 bytes); owners only."""
    return encode_call("grantRole(bytes32,address)", role, account)


def revoke_role(role: bytes, account: str) -> bytes:
    """Take a role (32 bytes) from `account`; owners only."""
    return encode_call("revokeRole(bytes32,address)", role, account)


def set_limits(max_reward: int, round_window: int) -> bytes:
    """Bound one reward's absolute value and how many past rounds accept reports; owners only."""
    return encode_call("setLimits(uint128,uint64)", max_reward, round_window)


def initialize(owner: str) -> bytes:
    """What the proxy's constructor calls: `owner` gets all roles."""
    return encode_call("initialize(address)", owner)


def upgrade(implementation: str) -> bytes:
    """Replace the code behind the proxy; owners only."""
    return encode_call("upgradeToAndCall(address,bytes)", implementation, b"")


def guess_answer(game: int, peer_id: str, round_index: int, choice: int, bet: int) -> bytes:
    """Market: bet on a choice in the name of a peer that the sender owns; once per peer, game and round."""
    return encode_call("guessAnswer(uint256,string,uint256,uint256,uint256)", game, peer_id, round_index, choice, bet)


def claim_reward(game: int, peer_id: str) -> bytes:
    """Market: take the winnings or the refund of a peer that the sender owns; once per peer and game."""
    return encode_call("claimReward(uint256,string)", game, peer_id)


def create_game(rounds: int, choices: int, root: bytes) -> bytes:
    """Market: open a game committed to by `root` (32 bytes); its owner only."""
    return encode_call("createNewGame(uint256,uint256,bytes32)", rounds, choices, root)


def increment_round(game: int) -> bytes:
    """Market: end the current round of a game; its owner only."""
    return encode_call("incrementRound(uint256)", game)


def reveal_clue(game: int, round_index: int, clue: str, salt: bytes, proof: Sequence[bytes]) -> bytes:
    """Market: publish the clue of a round with its salt and proof (32 bytes each); its owner only."""
    signature = "revealClue(uint256,uint256,string,bytes32,bytes32[])"
    return encode_call(signature, game, round_index, clue, salt, list(proof))


def reveal_answer(game: int, choice: int, answer: str, salt: bytes, proof: Sequence[bytes], job: int = 0) -> bytes:
    """Market: publish the answer with its salt and proof (32 bytes each); its owner only. `job` is for its records."""
    signature = "revealAnswerWithProof(uint256,uint256,uint256,string,bytes32,bytes32[])"
    return encode_call(signature, game, choice, job, answer, salt, list(proof))


def set_reveal_seconds(seconds: int) -> bytes:
    """Market: after how long without a next round or an answer a game is refunded; its owner only."""
    return encode_call("setRevealSeconds(uint256)", seconds)

"""What the worker sends: the bodies of upstream's `/api/*` endpoints, each as an outbox request. Strict and bounded."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from login_proxy.outbox import intents
from login_proxy.outbox.intents import MAX_BET, MAX_REWARD, MAX_ROUND
from swarm_core.identity import MAX_PEER_ID_CHARS, is_peer_id

MAX_WINNERS = 10


def _peer_id(text: str) -> str:
    if not is_peer_id(text):
        raise ValueError("not a peer id")
    return text


PeerId = Annotated[str, Field(max_length=MAX_PEER_ID_CHARS), AfterValidator(_peer_id)]
Round = Annotated[int, Field(ge=0, le=MAX_ROUND)]


class PeerBody(BaseModel):
    """What every call names: the account's label and the peer."""

    model_config = ConfigDict(strict=True, extra="ignore")
    orgId: Annotated[str, Field(max_length=128)]
    peerId: PeerId


class RegisterBody(PeerBody):
    """Register the peer under the node's account."""

    def intent(self) -> intents.Request:
        """As an outbox request."""
        return intents.register(self.peerId)


class RewardBody(PeerBody):
    """Report a reward of a round and stage."""

    roundNumber: Round
    stageNumber: Annotated[int, Field(ge=0, le=255)]
    reward: Annotated[int, Field(ge=-MAX_REWARD, le=MAX_REWARD)]

    def intent(self) -> intents.Request:
        """As an outbox request."""
        return intents.reward(self.peerId, self.roundNumber, self.stageNumber, self.reward)


class WinnerBody(PeerBody):
    """Vote for the winners of a round."""

    roundNumber: Round
    winners: Annotated[list[PeerId], Field(min_length=1, max_length=MAX_WINNERS)]

    def intent(self) -> intents.Request:
        """As an outbox request."""
        return intents.winner(self.peerId, self.roundNumber, tuple(self.winners))


class GuessBody(PeerBody):
    """Bet on a choice after a clue of a game."""

    gameId: Round
    clueId: Round
    choiceIdx: Annotated[int, Field(ge=0, le=MAX_ROUND)]
    bet: Annotated[int, Field(ge=1, le=MAX_BET)]

    def intent(self) -> intents.Request:
        """As an outbox request."""
        return intents.guess(self.peerId, self.gameId, self.clueId, self.choiceIdx, self.bet)


class ClaimBody(PeerBody):
    """Have the peer paid what it won in a game."""

    gameId: Round

    def intent(self) -> intents.Request:
        """As an outbox request."""
        return intents.claim(self.peerId, self.gameId)

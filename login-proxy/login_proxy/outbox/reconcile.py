"""Does the chain hold what we believe it holds? Facts about one intent, and the search after a chain that went back.

Works with `store` and the chain's views. A development chain writes its state every few seconds: a hard kill may take
the last blocks with it. We remember the newest block that holds one of our transactions; when the chain shows another
hash there, or no block, the contract is asked about what was marked delivered, newest first.
"""

from __future__ import annotations

from functools import partial

from login_proxy.outbox.asking import ask_until_answered, persist
from login_proxy.outbox.decide import Facts, same_account
from login_proxy.outbox.intents import Intent, Kind, Request
from login_proxy.outbox.ports import Chain
from login_proxy.outbox.store import OutboxStore, Seen
from swarm_core.log import get_logger

log = get_logger("outbox")

_CHUNK = 32


async def is_present(chain: Chain, request: Request, account: str) -> bool:
    """Whether the contract shows the effect of `request` under a peer of `account`."""
    if request.kind is Kind.REWARD:
        shown = await chain.has_reward(request.round, request.stage, request.peer_id)
    elif request.kind is Kind.WINNER:
        shown = bool(await chain.votes_of(request.round, request.peer_id))
    elif request.kind is Kind.GUESS:
        shown = bool(await chain.bet_of(request.round, request.stage, request.peer_id))
    elif request.kind is Kind.CLAIM:
        shown = bool(await chain.has_claimed(request.round, request.peer_id))
    else:
        shown = True
    if not shown:
        return False
    (owner,) = await chain.owners([request.peer_id])
    return same_account(owner, account)


async def facts_about(chain: Chain, request: Request, account: str) -> Facts:
    """What decides about a refused intent. Raises Unavailable."""
    now = await chain.round_and_stage()
    owners = await chain.owners([request.peer_id])
    present = await is_present(chain, request, account)
    return Facts(account=account, round=now.round, stage=now.stage, owner=owners[0], present=present)


class ChainWatch:
    """Notices a chain that lost blocks, and puts what it lost back in the line."""

    def __init__(self, store: OutboxStore, chain: Chain) -> None:
        self._store = store
        self._chain = chain

    def newest(self, number: int, block_hash: str) -> Seen:
        """The newer one of this block and the remembered one."""
        seen = self._store.seen()
        return seen if seen is not None and seen.number > number else Seen(number, block_hash)

    async def went_back(self) -> bool:
        """Whether the remembered block is gone or another one now."""
        seen = self._store.seen()
        if seen is None:
            return False
        return await persist(partial(self._chain.block_hash, seen.number)) != seen.hash

    async def look_back(self, account: str) -> list[Intent]:
        """Ask about delivered intents, newest first, until a whole chunk is there; recall the missing ones."""
        missing: list[Intent] = []
        offset = 0
        mined = await persist(partial(self._chain.nonce, account))
        while True:
            chunk = self._store.delivered(_CHUNK, offset)
            shown = await ask_until_answered([partial(self._still_there, intent, account, mined) for intent in chunk])
            lost = [intent for intent, there in zip(chunk, shown, strict=True) if not there]
            missing += lost
            if not lost or len(chunk) < _CHUNK:
                break
            offset += _CHUNK
        tip = await persist(self._chain.block)
        self._store.recall([intent.id for intent in missing])
        self._store.remember_seen(Seen(tip.number, tip.hash))
        log.warning("the chain went back", missing=len(missing), tip=tip.number)
        return missing

    async def _still_there(self, intent: Intent, account: str, mined: int) -> bool:
        """Whether a delivered intent's effect is on chain; a bet only counts as lost when that is certain."""
        if not intent.request.kind.repeatable:
            bet = await self._chain.bet_of(intent.request.round, intent.request.stage, intent.request.peer_id)
            if bet is not None:
                return bet > 0
            # this market cannot tell: the bet is gone for sure where the line has not come to its number yet
            nonce = intent.nonce(account)
            return nonce is None or nonce < mined
        if intent.request.kind is Kind.CLAIM:
            return await self._chain.has_claimed(intent.request.round, intent.request.peer_id) is not False
        return await is_present(self._chain, intent.request, account)

"""One question per peer and round, one answer per question, scored in a process that may be killed.

Works with `store` (what was asked), `stock` (what to ask), `signatures` and `round_watch` (who may ask). Raises
`Refusal` for what is not served, Unavailable for what cannot be served now.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter

from swarm_core.errors import Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_gym.pool import Question, ScorerPool
from swarm_judge.ladder import LEVELS
from swarm_judge.round_watch import Registrations, RoundWatch
from swarm_judge.signatures import Proof, Refusal, Signatures
from swarm_judge.stock import Ready, Stock
from swarm_judge.store import JudgeStore, Session

_SWEEP_SECONDS = 5.0
_FORGET_SECONDS = 3600.0
_SCORING_SECONDS = 30.0  # an answer that was taken in time may be scored until then
# a client may lag behind the chain or be ahead of what we last read; nothing of a question depends on its number
_ROUNDS_BEHIND = 1000
_ROUNDS_AHEAD = 2
log = get_logger("judge")


class Evaluation:
    """`request` a question, `submit` its answer."""

    def __init__(
        self,
        store: JudgeStore,
        stock: Stock,
        pool: ScorerPool,
        rounds: RoundWatch,
        registrations: Registrations,
        signatures: Signatures,
        *,
        answer_seconds: float,
        per_round: int,
        allow_unsigned: bool,
    ) -> None:
        self._store, self._stock, self._pool = store, stock, pool
        self._rounds, self._registrations, self._signatures = rounds, registrations, signatures
        self._answer_seconds, self._per_round, self._allow_unsigned = answer_seconds, per_round, allow_unsigned
        self._asking: set[tuple[str, bool]] = set()
        self._scoring: set[str] = set()
        self.counts: Counter[str] = Counter()

    async def request(self, peer_id: str, client_round: int, model: str, proof: Proof | None) -> Session:
        """A new question for the peer."""
        current = self._rounds.current
        if current is None:
            raise Unavailable("the chain was not read yet")
        if not current - _ROUNDS_BEHIND <= client_round <= current + _ROUNDS_AHEAD:
            raise Refusal(400, "InvalidRoundNumber")
        if proof is None and not self._allow_unsigned:
            raise Refusal(401, "SignatureRequired")
        if proof is not None:
            self._signatures.check(peer_id, client_round, model, proof)
        if not await self._registrations.knows(peer_id):
            raise Refusal(403, "PeerNotRegistered")
        if proof is not None:
            self._signatures.once(peer_id, proof)
        who = (peer_id, proof is not None)
        if who in self._asking:
            raise Refusal(429, "QuestionAlreadyAsked")
        self._asking.add(who)
        try:
            return await self._ask(peer_id, client_round, model, proof is not None, current)
        finally:
            self._asking.discard(who)

    async def _ask(self, peer_id: str, client_round: int, model: str, signed: bool, current: int) -> Session:
        now = time.time()
        if self._store.asked_in(current, peer_id, signed) >= self._per_round:
            raise Refusal(429, "QuestionAlreadyAsked")
        if self._store.open_session(peer_id, signed, now) is not None:
            raise Refusal(409, "AnswerPending")
        level = self._store.asked(peer_id, signed) % len(LEVELS)
        ready: Ready = await self._stock.take(current, level)
        now = time.time()
        session = Session(
            id=secrets.token_hex(16),
            peer=peer_id,
            model=model,
            signed=signed,
            round=current,
            client_round=client_round,
            level=level,
            number=ready.number,
            dataset=ready.question.name,
            seed=ready.question.seed,
            question=ready.text,
            issued=now,
            expires=now + self._answer_seconds,
        )
        self._store.add(session)
        self.counts["asked"] += 1
        return session

    async def submit(self, session_id: str, answer: str) -> float:
        """The score of the answer, in [0, 1]. Each session takes one answer."""
        session = self._store.session(session_id)
        if session is None:
            raise Refusal(404, "NoSuchSession")
        if not self._store.take(session_id, time.time()):
            late = session.taken is None
            raise Refusal(410, "AnswerTooLate") if late else Refusal(409, "AlreadyAnswered")
        self._scoring.add(session_id)
        try:
            score = await self._score(session, answer)
            self._store.settle(session, score)
        finally:
            self._scoring.discard(session_id)
        self.counts["answered"] += 1
        return score

    async def _score(self, session: Session, answer: str) -> float:
        params = dict(LEVELS[session.level])[session.dataset]
        # upstream's trainer sends the completion, other clients the bare answer
        text = answer if "</answer>" in answer else f"<answer>{answer}</answer>"
        (score,) = await self._pool.score(Question(session.dataset, session.seed, params), [text])
        return score

    async def sweep(self, service: Service) -> None:
        """Settle what was not answered in time, until asked to stop."""
        forget_at = 0.0
        while True:
            now = time.time()
            for session in self._store.overdue(now):
                taken = session.taken is not None
                if taken and (session.id in self._scoring or now < session.expires + _SCORING_SECONDS):
                    continue
                if self._store.settle(session, 0.0):
                    self.counts["expired"] += 1
            if now >= forget_at:
                self._store.forget(now)
                forget_at = now + _FORGET_SECONDS
            if await service.sleep(_SWEEP_SECONDS):
                return

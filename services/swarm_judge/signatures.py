"""Who asks: a peer signs (audience, digest of the request, time, nonce) with its libp2p key.

The audience is the swarm (chain id and coordinator), so a request to another swarm's judge cannot be replayed here; the
nonce is good once. Clients that sign nothing, as upstream's, are served only where the host allows it, and marked.
Works with `swarm_core.identity`; the other side is `swarm_node.judge`.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from swarm_core.identity import judge_message, verify
from swarm_core.judge_wire import request_digest

MAX_SKEW_SECONDS = 120
_MAX_NONCES = 200_000
_MAX_NONCES_OF_PEER = 1024  # a few hundred times what a peer needs in that time


class Proof(BaseModel):
    """What a signing client adds to its request as `proof`."""

    model_config = ConfigDict(strict=True, extra="forbid")
    public_key: Annotated[str, Field(max_length=1024)]
    signature: Annotated[str, Field(max_length=1024)]
    issued_at: Annotated[int, Field(ge=0, lt=2**53)]
    nonce: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Refusal(Exception):
    """A request that is not served: HTTP status and a short name."""

    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status, self.name = status, name


class Signatures:
    """Checks proofs and remembers their nonces as long as they could be used again."""

    def __init__(self, audience: Callable[[], str]) -> None:
        self._audience = audience
        self._nonces: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._of_peer: Counter[str] = Counter()

    def check(self, peer_id: str, round_number: int, model: str, proof: Proof) -> None:
        """Raises Refusal 401 unless `peer_id` signed exactly this request, now and for us.

        Raises Unavailable while the swarm's coordinator is not known yet.
        """
        now = time.time()
        if abs(now - proof.issued_at) > MAX_SKEW_SECONDS:
            raise Refusal(401, "RequestTooOld")
        try:
            public = base64.b64decode(proof.public_key, validate=True)
            signature = base64.b64decode(proof.signature, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(401, "InvalidSignature") from None
        digest = request_digest(peer_id, round_number, model)
        message = judge_message(peer_id, self._audience(), digest, proof.issued_at, proof.nonce)
        if not verify(peer_id, public, signature, message):
            raise Refusal(401, "InvalidSignature")

    def once(self, peer_id: str, proof: Proof) -> None:
        """Use up the nonce of a checked proof. Raises Refusal 401 the second time, 429 for too many.

        For registered peers only: keys cost nothing, so anybody could fill the memory of nonces, and lock others out.
        """
        now = time.time()
        while self._nonces and next(iter(self._nonces.values())) < now - 2 * MAX_SKEW_SECONDS:
            (forgotten, _), _ = self._nonces.popitem(last=False)
            self._of_peer[forgotten] -= 1
            if not self._of_peer[forgotten]:
                del self._of_peer[forgotten]
        if (peer_id, proof.nonce) in self._nonces:
            raise Refusal(401, "RequestReplayed")
        if len(self._nonces) >= _MAX_NONCES or self._of_peer[peer_id] >= _MAX_NONCES_OF_PEER:
            raise Refusal(429, "TooManyRequests")
        self._nonces[peer_id, proof.nonce] = now
        self._of_peer[peer_id] += 1

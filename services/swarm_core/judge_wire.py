"""What judge and worker must agree on byte for byte: the swarm a request is for, and the digest that a peer signs."""

from __future__ import annotations

import hashlib
import json


def audience(chain_id: int, coordinator: str) -> str:
    """The swarm that a request is meant for."""
    return f"{chain_id}:{coordinator.lower()}"


def request_digest(peer_id: str, round_number: int, model: str) -> str:
    """SHA-256 (hexadecimal) of a request for a question."""
    body = json.dumps([peer_id, round_number, model], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(body.encode()).hexdigest()

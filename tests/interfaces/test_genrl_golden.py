"""Our codec writes the bytes of genrl 0.1.11's encoder, and reads them back: the published vectors, byte for byte."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from swarm_core.genrl import Payload, WorldState, decode, encode

VECTORS = json.loads((Path(__file__).parent / "data" / "genrl-0.1.11-vectors.json").read_text())


def value_of(document: Any) -> Any:
    """The Python value that a vector's JSON stands for."""
    if isinstance(document, list):
        return [value_of(item) for item in document]
    if not isinstance(document, dict):
        return document
    ((kind, body),) = document.items()
    if kind == "$dict":
        return {value_of(key): value_of(item) for key, item in body}
    if kind == "$int":
        return int(body)
    if kind == "$float":
        return float.fromhex(body)
    parts = [value_of(part) for part in body]
    return Payload(*parts) if kind == "$payload" else WorldState(*parts)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    value, golden = value_of(vector["value"]), base64.b64decode(vector["bytes_base64"])
    assert encode(value) == golden
    assert decode(golden) == (value, b"")
    assert encode(decode(golden)[0]) == golden
    assert decode(golden + b"trailer") == (value, b"trailer")


def test_the_vectors_cover_every_type() -> None:
    text = json.dumps(VECTORS)
    for kind in ("$dict", "$int", "$float", "$payload", "$world_state", "true", "false", "null"):
        assert kind in text

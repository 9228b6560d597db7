"""reasoning-gym itself: imported late, and one entry of a dataset from a seed.

reasoning-gym imports all of its datasets at once (about 90 MB and some seconds); it is imported on the first use.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import sys
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

HELD_OUT_SHARE = 5  # one question in five is never trained on


def reasoning_gym() -> ModuleType:
    """The library, imported on the first call; warnings of its dependencies' source code are not ours to show."""
    if "reasoning_gym" not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            importlib.import_module("reasoning_gym")
    return sys.modules["reasoning_gym"]


def make_entry(name: str, seed: int, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one entry that (name, seed) stands for: question, answer, metadata; the same on every machine."""
    # The bf dataset runs its program with an interpreter that prints; nothing else of reasoning-gym writes to stdout.
    with contextlib.redirect_stdout(io.StringIO()) if name == "bf" else contextlib.nullcontext():
        entry: Mapping[str, Any] = reasoning_gym().create_dataset(name, seed=seed, size=1, **params)[0]
    return entry


def is_held_out(question: str) -> bool:
    """True for the fifth of all questions (by MD5 of the text, hence the same everywhere) kept for evaluation."""
    return int(hashlib.md5(question.encode(), usedforsecurity=False).hexdigest(), 16) % HELD_OUT_SHARE == 0

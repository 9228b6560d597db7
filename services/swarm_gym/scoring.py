"""Scores: pure functions from (text, entry of a dataset) to a number in [0, 1], by reasoning-gym's own verifiers.

Completions come from strangers too, so the text is hostile: it is bounded before it is parsed, a scorer that raises
gives 0, and only datasets whose scorer was read for this are allowed. Several of reasoning-gym's scorers hand the
answer to `eval` or to sympy's parser (which evaluates): binary_matrix, n_queens, spiral_matrix, string_insertion,
countdown, puzzle24 and the integration and polynomial tasks. None of those runs here; binary_matrix is scored below,
and propositional_logic's verifier, which is exponential in what it takes for variables, sees formulas only.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

AUDITED_DATASETS = frozenset(
    {"arc_1d", "base_conversion", "basic_arithmetic", "bf", "binary_matrix", "calendar_arithmetic", "chain_sum"}
    | {"count_bits", "decimal_arithmetic", "fraction_simplification", "gcd", "lcm", "products", "propositional_logic"}
)
MAX_TEXT_CHARS = 32_768  # of a completion, its end; the answer stands there
MAX_FORMULA_CHARS = 64  # of propositional logic; right conclusions have about 10, the verifier's parser is quadratic
MAX_ANSWER_CHARS = 512  # the longest right answer of the datasets above, a 10 x 10 matrix as a list, has about 320

Scorer = Callable[[str, Any], float]  # (answer, reasoning-gym's entry) -> reward


def score_texts(name: str, params: Mapping[str, Any], entry: Mapping[str, Any], texts: Sequence[str]) -> list[float]:
    """Scores of completions of one question, in their order: 0 without an `<answer>`, else what the verifier says."""
    scorer = _scorer(name, params)
    return [_score_one(scorer, text, entry) for text in texts]


def find_answer(text: str) -> str | None:
    """The content of the last `<answer>...</answer>`, stripped; None when there is none or it is too long."""
    from reasoning_gym.utils import extract_answer

    # Cut behind the last closing tag: extract_answer's regular expression is quadratic in unclosed opening tags.
    end = text.rfind("</answer>")
    if end < 0:
        return None
    answer: str | None = extract_answer(text[: end + len("</answer>")][-MAX_TEXT_CHARS:])
    return answer if answer is not None and len(answer) <= MAX_ANSWER_CHARS else None


def _score_one(scorer: Scorer, text: str, entry: Mapping[str, Any]) -> float:
    answer = find_answer(text)
    if answer is None:
        return 0.0
    try:
        reward = float(scorer(answer, entry))
    except Exception:  # noqa: BLE001 - what a verifier raises on arbitrary text is not documented; it means "wrong"
        return 0.0
    return min(max(reward, 0.0), 1.0) if math.isfinite(reward) else 0.0


def _scorer(name: str, params: Mapping[str, Any]) -> Scorer:
    if name == "binary_matrix":
        return score_binary_matrix
    from reasoning_gym import create_dataset

    scorer: Scorer = create_dataset(name, seed=0, size=1, **params).score_answer
    if name == "propositional_logic":
        return lambda answer, entry: scorer(answer, entry) if is_formula(answer, entry) else 0.0
    return scorer


def is_formula(answer: str, entry: Any) -> bool:
    """Whether the text is short and made of the question's own variables, operators and brackets.

    reasoning-gym's verifier tries every assignment of whatever stands where a variable may: 26 small letters, which it
    does not refuse, would take it days.
    """
    letters = {*entry["metadata"]["variables"], *"∧∨¬→↔() "}
    return len(answer) <= MAX_FORMULA_CHARS and set(answer) <= letters


def score_binary_matrix(answer: str, entry: Any) -> float:
    """reasoning-gym's rule without its `eval`: 1 for the exact text, 0.1 for the same matrix as a list of lists."""
    if answer == entry["answer"]:
        return 1.0
    try:
        rows = ast.literal_eval(answer)
        text = "\n".join(" ".join(str(cell) for cell in row) for row in rows)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return 0.0
    return 0.1 if text == entry["answer"] else 0.0

"""The README of a pushed model: what it is, how its reward went, with which settings it was trained.

Pure functions from round records and settings to text; `hub` uploads them. The curve is an SVG beside the README.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from swarm_core.status import RoundRecord

CURVE = "rewards.svg"
_WINDOWS = 10  # rows of the table
_WIDTH, _HEIGHT, _MARGIN = 720, 300, 45


def model_card(
    repository: str, model: str, peer_name: str, records: Sequence[RoundRecord], settings: Mapping[str, Any]
) -> str:
    """The README with its metadata block.  `model` is the base model's name, `settings` what the run was made with."""
    meta: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["rl-swarm", "grpo", "reinforcement-learning"],
    }
    if model.count("/") == 1 and not model.startswith((".", "/", "~")):
        meta["base_model"] = model
    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    last = records[-1].training_round if records else 0
    return f"""---
{yaml.safe_dump(meta, sort_keys=True).strip()}
---

# {repository.rpartition("/")[2]}

Trained by **{peer_name}**, a node of an RL Swarm: peers answer reasoning questions, exchange what they answered and
learn from it by GRPO (SAPO, arXiv 2509.08721). Base model: {model}. State after round {last}.

## Reward

![mean reward by round]({CURVE})

{_table(records)}

Own: completions this node sampled. Held-out: questions that are never trained on.

## Settings

| setting | value |
|---|---|
{rows}

## Use

```python
from transformers import pipeline

print(pipeline("text-generation", model="{repository}")("What is 3 + 4?"))
```
"""


def _table(records: Sequence[RoundRecord]) -> str:
    """Means of up to ten windows of rounds."""
    done = [record for record in records if record.own_reward is not None]
    if not done:
        return "No round is finished yet."
    size = max(1, -(-len(done) // _WINDOWS))
    lines = ["| rounds | own | held-out |", "|---|---|---|"]
    for start in range(0, len(done), size):
        window = done[start : start + size]
        own = [record.own_reward for record in window if record.own_reward is not None]
        held_out = [record.held_out_reward for record in window if record.held_out_reward is not None]
        shown = f"{sum(held_out) / len(held_out):.3f}" if held_out else ""
        between = f"{window[0].training_round} to {window[-1].training_round}"
        lines.append(f"| {between} | {sum(own) / len(own):.3f} | {shown} |")
    return "\n".join(lines)


def curve(records: Sequence[RoundRecord]) -> str:
    """An SVG of own and held-out reward over rounds."""
    own = [(r.training_round, r.own_reward) for r in records if r.own_reward is not None]
    held_out = [(r.training_round, r.held_out_reward) for r in records if r.held_out_reward is not None]
    first, last = (own[0][0], max(own[-1][0], own[0][0] + 1)) if own else (0, 1)
    top = max([value for _, value in [*own, *held_out]], default=1.0) or 1.0

    def place(point: tuple[int, float]) -> str:
        x = _MARGIN + (point[0] - first) / (last - first) * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - _MARGIN - point[1] / top * (_HEIGHT - 2 * _MARGIN)
        return f"{x:.1f},{y:.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(map(place, points))}"/>'
        for points, colour in ((own, "#2563eb"), (held_out, "#d97706"))
    )
    bottom = _HEIGHT - _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'<path d="M{_MARGIN} {_MARGIN}V{bottom}H{_WIDTH - _MARGIN}" fill="none" stroke="#555"/>{lines}'
        f'<text x="8" y="{_MARGIN + 4}">{top:.2f}</text><text x="{_MARGIN}" y="{bottom + 18}">round {first}</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{bottom + 18}" text-anchor="end">round {last}</text>'
        f'<text x="{_MARGIN + 10}" y="20" fill="#2563eb">own completions</text>'
        f'<text x="{_MARGIN + 130}" y="20" fill="#d97706">held-out questions</text></svg>\n'
    )

"""Draws the curves of `sharing.py` from its result files.

    python benchmarks/sharing_figures.py --out docs/img [--results build/sharing]

One SVG a level: the mean reward of own completions by round, a line a configuration (mean of its seeds, smoothed over
five rounds).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, MARGIN, SMOOTH = 720, 360, 50, 5
COLOURS = ("#2563eb", "#d97706", "#059669", "#7c3aed", "#dc2626", "#64748b", "#0891b2")


def curves(results: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Configuration → mean own reward of a node by round, over seeds, smoothed."""
    made: dict[str, list[float]] = {}
    for config in sorted({result["config"] for result in results}):
        runs = [r["series"]["own"] for r in results if r["config"] == config]
        nodes = next(r["nodes"] for r in results if r["config"] == config)
        means = [sum(values) / len(values) / nodes for values in zip(*runs, strict=True)]
        made[f"{config} ({len(runs)})"] = [
            sum(means[max(0, i - SMOOTH + 1) : i + 1]) / len(means[max(0, i - SMOOTH + 1) : i + 1])
            for i in range(len(means))
        ]
    return made


def draw(title: str, lines: dict[str, list[float]]) -> str:
    """An SVG with a legend; every line from round 0 on."""
    top = max(max(values) for values in lines.values()) or 1.0
    last = max(len(values) for values in lines.values())
    bottom, right = HEIGHT - MARGIN, WIDTH - MARGIN

    def place(x: float, y: float) -> str:
        return f"{MARGIN + x / (last - 1) * (right - MARGIN):.1f},{bottom - y / top * (bottom - MARGIN):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>',
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="#555"/>',
        f'<text x="{MARGIN}" y="24" font-size="14">{title}</text>',
        f'<text x="8" y="{MARGIN + 4}">{top:.2f}</text><text x="{MARGIN}" y="{bottom + 18}">round 0</text>',
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">round {last - 1}</text>',
    ]
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(place(x, y) for x, y in enumerate(values))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{points}"/>')
        parts.append(f'<text x="{MARGIN + 12}" y="{MARGIN + 14 + 16 * number}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Draws the curves of benchmarks/sharing.py.")
    parser.add_argument("--results", type=Path, default=Path("build/sharing"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results = [json.loads(path.read_text()) for path in sorted(options.results.glob("*x*.json"))]
    options.out.mkdir(parents=True, exist_ok=True)
    for level in sorted({result["level"] for result in results}):
        chosen = [result for result in results if result["level"] == level]
        title = f"own reward by round, {chosen[0]['nodes']} nodes, level {level} (number of seeds)"
        (options.out / f"sharing-{level}.svg").write_text(draw(title, curves(chosen)), encoding="utf-8")


if __name__ == "__main__":
    main()

"""A million mutated inputs through the decoders that bytes of strangers reach (`make fuzz`).

    python -m benchmarks.fuzz --count 1000000 --json

Ends with an error on anything but a refusal with a reason, or when one input makes a decoder allocate more than twice
the size limit of its input.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.support.fuzz import DECODERS, run


def main() -> int:
    """Run and report; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args()
    began = time.monotonic()
    outcome = run(arguments.count, arguments.seed)
    over = {name: peak for name, peak in outcome.peaks.items() if peak > 2 * max(DECODERS[name][1], 64 * 1024)}
    print(
        f"{outcome.inputs} inputs: {sum(outcome.accepted.values())} accepted, {sum(outcome.refused.values())} refused"
    )
    print(f"peaks {outcome.peaks}; resident memory grew by {outcome.rss_growth} bytes")
    if arguments.json:
        print(
            json.dumps(
                {
                    "benchmark": "fuzz",
                    "inputs": outcome.inputs,
                    "accepted": outcome.accepted,
                    "refused": outcome.refused,
                    "peak_bytes": outcome.peaks,
                    "rss_growth": outcome.rss_growth,
                    "over_limit": over,
                    "seconds": round(time.monotonic() - began, 1),
                }
            )
        )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())

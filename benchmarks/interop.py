"""Interoperability with genuine peers: two processes of gensyn-genrl 0.1.11 and two of our daemons share rounds.

    python -m benchmarks.interop --rounds 20 --json

Ends with 1 when any payload of any peer was not decoded by every other one exactly as it was written.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.support import interop


def main() -> int:
    """Run and report; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        report = interop.run(Path(directory), arguments.rounds)
    median = statistics.median(report.seconds)
    print(
        f"{report.rounds} rounds, {report.decoded} payloads decoded as written, {len(report.missing)} not; "
        f"{report.verified} questions made again, {report.unverified} not; "
        f"{median:.2f} s a round, of which upstream sleeps 1 s"
    )
    for number, reader, author in report.missing:
        print(f"round {number}: {reader} did not read {author}")
    if arguments.json:
        print(
            json.dumps(
                {"benchmark": "interop", "median_round_seconds": median, **dataclasses.asdict(report), "metrics": None}
            )
        )
    return 1 if report.missing or report.unverified else 0


if __name__ == "__main__":
    sys.exit(main())

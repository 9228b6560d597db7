"""What each tier of tests ran, from pytest's reports: `scripts/tiers.py build/reports`.

Exits 1 when a tier has no report, ran no test, failed one or skipped one: a skipped test proves nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

TIERS = ("unit", "interfaces", "integration", "tools", "long", "e2e")


def main(folder: Path) -> None:
    """Print a line a tier; exit 1 if one is not what it should be."""
    bad = False
    for tier in TIERS:
        report = folder / f"{tier}.xml"
        if not report.is_file():
            print(f"{tier:12} no report")
            bad = True
            continue
        suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - our own reports
        counts = {"tests": 0.0, "failures": 0.0, "errors": 0.0, "skipped": 0.0, "time": 0.0}
        for suite in suites:
            for name in counts:
                counts[name] += float(suite.get(name, "0"))
        bad |= counts["tests"] == 0 or bool(counts["failures"] + counts["errors"] + counts["skipped"])
        shown = ", ".join(f"{int(counts[name])} {name}" for name in ("tests", "failures", "errors", "skipped"))
        print(f"{tier:12} {shown}, {counts['time']:.0f} s")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

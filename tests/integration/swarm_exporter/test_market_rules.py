"""The alert on unclaimed winnings, judged by Prometheus's own tool; it names metrics of the catalogue only."""

from __future__ import annotations

import re
import subprocess

from tests.support.exporter_host import PROMETHEUS_IMAGE, ROOT

from swarm_core.metrics import CATALOGUE

RULES = ROOT / "monitoring/prometheus/rules"


def test_promtool_agrees() -> None:
    command = [
        "docker", "run", "--rm", "--network", "none", "--entrypoint", "promtool", "-v", f"{RULES}:/rules:ro",
        "-v", f"{ROOT}/tests/interfaces/data/market_rules_test.yml:/test.yml:ro", PROMETHEUS_IMAGE,
        "test", "rules", "/test.yml",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_rules_use_the_catalogue() -> None:
    used = set(re.findall(r"rlswarm_\w+", (RULES / "market.yml").read_text()))
    assert used
    assert used <= {metric.name for metric in CATALOGUE}

"""`benchmarks/gpu.py` runs from end to end with a small shape where there is no GPU; its figures are not looked at."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_it_runs_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--json", "--shape", "small", "--without-genrl"]
    command += ["--questions", "2", "--generations", "2", "--tokens", "6", "--pairs", "1", "--cache", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["work"] == "2x2@6"
    assert all(value > 0 for value in (report["update_mfu"], report["decode_share"]))
    ours = report["seconds"]["ours_bfloat16"]
    assert ours["round"] >= ours["update"] > 0
    assert report["machine"]["torch"]

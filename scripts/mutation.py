"""Mutation run (`make mutation`): how much of what matters most would a test notice if it were wrong?

mutmut changes the modules below one place at a time and runs the unit tests of that module against each change.
Prints killed and total per module; exits 1 when a module is below 80 %. The run happens in a copy (`build/mutation`),
so the working tree is never changed and only the tests that matter are collected.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "mutation"
LEAST = 0.80
SECONDS = 7200  # half an hour on a quiet machine with two cores
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
PACKAGES = (
    "services/swarm_core", "services/swarm_chain", "services/swarm_gym", "node/swarm_node", "login-proxy/login_proxy",
)  # fmt: skip
# module -> its tests, all below tests/unit; they need no conftest above their own directory
TARGETS = {
    "swarm_core/records.py": ("swarm_core/test_records.py", "swarm_core/test_records_sampling.py"),
    "swarm_node/sampler.py": ("swarm_node/test_sampler.py",),
    "swarm_node/advantages.py": ("swarm_node/test_advantages.py",),
}
OUTBOX = (
    "asking", "bids", "decide", "delivery", "eoa", "fate", "fees", "flight", "funds", "history", "intents", "nonces",
    "reconcile", "registrar", "rows", "store", "writer",
)  # fmt: skip
OUTBOX_TESTS = ("login_proxy/outbox",)
KILLED = frozenset({1, 3, 24, 36, -24, 152, 255})  # exit codes of a noticed change: failed, broken or too slow
# neither the text of a log line nor what a type checker is told is behaviour
NO_BEHAVIOUR = [r"^\s*log\.\w+\(", r"\bcast\("]
# SQL and the names of sqlite3.Row know no letter case, so a change of case alone changes nothing there
CASELESS = frozenset({"login_proxy/outbox/store.py"})


# a change that a test notices at all is noticed by few examples, and every surviving change runs them all
FEWER_EXAMPLES = """from hypothesis import settings

settings.register_profile("mutation", deadline=None, derandomize=True, database=None, max_examples=10)
settings.load_profile("mutation")
"""


def targets() -> dict[str, tuple[str, ...]]:
    """Every module to change with its tests."""
    return TARGETS | {f"login_proxy/outbox/{name}.py": OUTBOX_TESTS for name in OUTBOX}


def prepare(modules: dict[str, tuple[str, ...]]) -> None:
    """A flat copy of the packages, the chosen tests and a configuration."""
    shutil.rmtree(WORK, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__", "node_modules", "*.safetensors")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, WORK / Path(package).name, ignore=ignore)
    (WORK / "tests" / "unit").mkdir(parents=True)
    shutil.copytree(ROOT / "tests" / "support", WORK / "tests" / "support", ignore=ignore)
    (WORK / "tests" / "conftest.py").write_text(FEWER_EXAMPLES)
    for test in sorted({test for tests in modules.values() for test in tests}):
        source, copy = ROOT / "tests" / "unit" / test, WORK / "tests" / "unit" / test
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=ignore)
        else:
            shutil.copy(source, copy)
    names = [Path(package).name for package in PACKAGES]
    options = ["--import-mode=importlib", "-q", "-x", "-p", "no:cacheprovider"]
    (WORK / "pyproject.toml").write_text(
        "[tool.mutmut]\n"
        f"source_paths = {json.dumps(names)}\n"
        f"only_mutate = {json.dumps(list(modules))}\n"
        f"pytest_add_cli_args = {json.dumps(options)}\n"
        'pytest_add_cli_args_test_selection = ["tests/unit"]\n'
        f"do_not_mutate_patterns = {json.dumps(NO_BEHAVIOUR)}\n"
        "use_git_change_detection = false\n"
        "track_dependencies = false\n"
        "[tool.pytest.ini_options]\n"
        'asyncio_mode = "auto"\npythonpath = ["."]\ntimeout = 60\n'
        'filterwarnings = ["ignore"]\n'
    )


def results(module: str) -> Counter[bool]:
    """Killed (True) and surviving (False) mutants of `module`."""
    meta = json.loads((WORK / "mutants" / f"{module}.meta").read_text())
    unchanged = equivalent(WORK / "mutants" / module) if module in CASELESS else set()
    codes = {name.rpartition(".")[2]: code for name, code in meta["exit_code_by_key"].items()}
    return Counter(code in KILLED for name, code in codes.items() if name not in unchanged)


def equivalent(path: Path) -> set[str]:
    """Mutants in mutmut's file that differ from the original in letter case only."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, _FUNCTION)]
    texts = {node.name: [ast.dump(part).lower() for part in (node.args, *node.body)] for node in nodes}
    return {name for name, text in texts.items() if text == texts.get(re.sub(r"__mutmut_\d+$", "__mutmut_orig", name))}


def main() -> None:
    """Run everything, or the modules whose names contain one of the arguments."""
    modules = {m: t for m, t in targets().items() if len(sys.argv) < 2 or any(part in m for part in sys.argv[1:])}
    prepare(modules)
    mutmut = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "2"]
    with (WORK / "log.txt").open("w") as log:
        ended = subprocess.run(mutmut, cwd=WORK, stdout=log, stderr=subprocess.STDOUT, timeout=SECONDS)
    if ended.returncode not in (0, 1) or not (WORK / "mutants").is_dir():
        sys.exit(f"mutmut failed; its output is in {WORK.relative_to(ROOT)}/log.txt")
    weak = []
    for module in modules:
        count = results(module)
        share = count[True] / max(count.total(), 1)
        print(f"{module:40} {count[True]:4}/{count.total():<4} {share:6.1%}")
        if share < LEAST:
            weak.append(module)
    if weak:
        sys.exit(f"below {LEAST:.0%}: {', '.join(weak)}; see `mutmut results` in {WORK.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

"""The layers of ARCHITECTURE.md section 2, and rules that a reader relies on, read from the syntax trees.

Process packages never import one another; only the settings base reads the environment; nothing is ever unpickled;
modules stay small.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "swarm_core": ROOT / "services/swarm_core",
    "swarm_chain": ROOT / "services/swarm_chain",
    "swarm_dht": ROOT / "services/swarm_dht",
    "swarm_gateway": ROOT / "services/swarm_gateway",
    "swarm_gym": ROOT / "services/swarm_gym",
    "swarm_judge": ROOT / "services/swarm_judge",
    "swarm_node": ROOT / "node/swarm_node",
    "login_proxy": ROOT / "login-proxy/login_proxy",
    "swarm_exporter": ROOT / "monitoring/swarm_exporter",
}
# package -> our packages that it may import
ALLOWED = {
    "swarm_core": set(),
    "swarm_chain": {"swarm_core"},
    "swarm_dht": {"swarm_core"},
    "swarm_gateway": {"swarm_core", "swarm_chain"},
    "swarm_gym": {"swarm_core"},
    "swarm_judge": {"swarm_core", "swarm_chain", "swarm_gym"},
    "swarm_node": {"swarm_core", "swarm_chain", "swarm_gym"},
    "login_proxy": {"swarm_core", "swarm_chain"},
    "swarm_exporter": {"swarm_core", "swarm_chain"},
}
# third party -> the only packages that may import it
HEAVY = {
    "hivemind": {"swarm_dht"},
    "torch": {"swarm_node"},
    "transformers": {"swarm_node"},
    "safetensors": {"swarm_node"},
    "reasoning_gym": {"swarm_gym", "swarm_node"},
    "web3": {"swarm_chain"},
    "eth_account": {"swarm_chain", "login_proxy"},
}
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
LOADERS = {"torch.load", "torch.save", "numpy.load", "np.load"}
MODULES = [(package, path) for package, directory in PACKAGES.items() for path in sorted(directory.rglob("*.py"))]
MODULES = [(package, path) for package, path in MODULES if "node_modules" not in path.parts]


def label(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imported(path: Path) -> Iterator[str]:
    """Top-level names of everything that a module imports, at any depth of the code."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module).split(".")[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "import_module":
            yield from (str(a.value).split(".")[0] for a in node.args if isinstance(a, ast.Constant))


def test_every_package_is_there() -> None:
    assert {package for package, _ in MODULES} == set(PACKAGES)


@pytest.mark.parametrize(("package", "path"), MODULES, ids=label)
def test_layers(package: str, path: Path) -> None:
    names = set(imported(path))
    ours = names & set(PACKAGES) - {package}
    assert ours <= ALLOWED[package]
    assert not {name for name in names & set(HEAVY) if package not in HEAVY[name]}
    assert not names & UNPICKLERS


@pytest.mark.parametrize(("package", "path"), MODULES, ids=label)
def test_only_the_settings_base_reads_the_environment(package: str, path: Path) -> None:
    if path == PACKAGES["swarm_core"] / "settings.py":
        return
    names = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not names & {"environ", "environb", "getenv", "getenvb"}


@pytest.mark.parametrize(("package", "path"), MODULES, ids=label)
def test_torch_never_unpickles(package: str, path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "torch.load",
            "torch.save",
            "numpy.load",
            "np.load",
        ):
            pytest.fail(f"{path}:{node.lineno}: use safetensors or JSON")


@pytest.mark.parametrize(("package", "path"), MODULES, ids=label)
def test_a_module_says_what_it_is_for(package: str, path: Path) -> None:
    assert ast.get_docstring(tree(path)) or not path.read_text().strip()


def test_modules_are_small() -> None:
    lines = {path: len(path.read_text().splitlines()) for _, path in MODULES}
    assert {label(path): count for path, count in lines.items() if count > 400} == {}
    assert statistics.median(count for count in lines.values() if count > 3) <= 150

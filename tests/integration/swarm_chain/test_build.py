"""The committed artefacts are exactly what the committed sources compile to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from swarm_chain import artifacts

CONTRACTS = Path(artifacts.__file__).parent.parent / "contracts"
PLACES = (CONTRACTS / "node_modules", Path("/opt/contracts/node_modules"))


def node_modules() -> Path:
    """Where `npm ci` put the compiler: beside package.json, or where the tools image has it."""
    found = next((place for place in PLACES if (place / "solc").is_dir()), None)
    if found is None:
        pytest.fail(f"The Solidity compiler is missing: run npm ci in {CONTRACTS}.")
    return found


def test_the_artefacts_are_reproducible(tmp_path: Path) -> None:
    modules = node_modules()
    command = ["node", str(CONTRACTS / "build.mjs"), str(tmp_path), str(modules)]
    subprocess.run(command, check=True, timeout=150)
    for name in ("SwarmCoordinator", "PredictionMarket", "ERC1967Proxy"):
        built = json.loads((tmp_path / f"{name}.json").read_text())
        committed = json.loads((Path(artifacts.__file__).parent / f"{name}.json").read_text())
        assert built == committed, f"{name}.json is outdated: run node build.mjs ../artifacts in {CONTRACTS}"


def test_no_other_solidity_is_committed() -> None:
    ours = {"SwarmCoordinator.sol", "Leaderboard.sol", "PredictionMarket.sol"}
    found = {path.name for path in CONTRACTS.rglob("*.sol") if "node_modules" not in path.parts}
    assert found == ours


def test_the_lock_pins_every_package_by_hash_and_names_no_host() -> None:
    text = (CONTRACTS / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert all("integrity" in entry for path, entry in packages.items() if path)
    assert "resolved" not in text
    pins = json.loads((CONTRACTS / "package.json").read_text())["dependencies"].values()
    assert all(pin[0].isdigit() for pin in pins)

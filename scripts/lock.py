"""Write the hashed requirement locks under locks/ (`make lock`).

One lock per image, one for development and one for the build backend. The development lock is solved first and
constrains the others, so tests run on the versions that are shipped. The CPU locks name `torch==X` with the hashes
of PyTorch's CPU build and of the wheels on the public index, and no CUDA packages; the CUDA lock is the public
index's torch with its CUDA packages. A local folder with the CPU wheel is found through PIP_FIND_LINKS; without one
uv asks PyTorch's own index. No lock names an index or a host.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
PYTHON = "3.11"
UV_PLATFORM = "x86_64-manylinux_2_28"
TORCH_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)( ;.*)?( \\)?$")


def main() -> None:
    """Solve every lock, in an order in which each can be constrained by the one before."""
    LOCKS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        torch_hashes = public_torch_hashes()
        dev = solve(["--extra", "light", "--extra", "swarm", "--extra", "dev"], cpu=True)
        write("dev", portable_torch(dev, torch_hashes))
        constraints.write_text(pins(dev))
        light = solve(["--extra", "light", "--constraint", str(constraints)], cpu=True)
        write("light", light)
        swarm = solve(["--extra", "swarm", "--constraint", str(constraints)], cpu=True)
        write("swarm", portable_torch(swarm, torch_hashes))
        write("tools", solve(["--extra", "tools", "--constraint", str(constraints)], cpu=True))
        write("cuda", solve(["--extra", "swarm", "--constraint", str(constraints)], cpu=False))
        backend = Path(folder) / "build.in"
        backend.write_text("\n".join(build_requirements()) + "\n")
        write("build", solve(["--constraint", str(constraints)], cpu=True, source=backend))
        peer = ROOT / "tests" / "interop" / "genrl.in"
        write("interop", solve(["--no-deps"], cpu=False, source=peer))
        genrl = solve([], cpu=True, source=ROOT / "benchmarks" / "genrl.in")
        write("genrl", portable_torch(genrl, torch_hashes))
        write("source", blocks(dev, [*source_only(pins(dev)), "setuptools"]))


def solve(arguments: list[str], *, cpu: bool, source: Path = ROOT / "pyproject.toml") -> str:
    """The text of one lock. Raises CalledProcessError when the requirements have no solution."""
    wheels = os.environ.get("PIP_FIND_LINKS", "")
    torch_source: list[str] = []
    if cpu:
        torch_source = ["--find-links", wheels] if wheels else ["--torch-backend", "cpu"]
    command = [sys.executable, "-m", "uv", "pip", "compile", str(source), *arguments, *torch_source]
    command += ["--python-version", PYTHON, "--python-platform", UV_PLATFORM, "--generate-hashes", "--upgrade"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--quiet", "--no-header"]
    command += ["--no-emit-package", "rl-swarm"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def public_torch_hashes() -> list[str]:
    """SHA-256 of the public index's torch wheels for this Python, one per platform; nothing is downloaded."""
    version = next(r.split("==")[1] for r in project()["optional-dependencies"]["swarm"] if r.startswith("torch=="))
    environment = {**os.environ, "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    hashes = []
    for platform in TORCH_PLATFORMS:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"]
        command += ["--report", "-", "--target", "unused", "--only-binary", ":all:", "--platform", platform]
        command += ["--python-version", PYTHON, f"torch=={version}"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        hashes.append(json.loads(answer)["install"][0]["download_info"]["archive_info"]["hashes"]["sha256"])
    return hashes


def portable_torch(lock: str, public_hashes: list[str]) -> str:
    """`lock` with `torch==X+cpu` turned into `torch==X`, its own hash first and `public_hashes` after it."""
    lines, hashes = [], []
    in_torch = False
    for line in lock.splitlines():
        pin = PIN.match(line)
        if pin:
            in_torch = pin[1] == "torch"
            if in_torch:
                lines.append(f"torch=={pin[2].split('+')[0]} \\")
                continue
        if in_torch:
            hashes.append(line.strip().removesuffix(" \\").removeprefix("--hash=sha256:"))
        else:
            if hashes:
                lines += torch_lines(hashes, public_hashes)
                hashes = []
            lines.append(line)
    if hashes:
        lines += torch_lines(hashes, public_hashes)
    return "\n".join(lines) + "\n"


def source_only(requirements: str) -> list[str]:
    """Names in `requirements` (bare pins) of which the public index has no wheel."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(line + "\n" for line in requirements.splitlines() if not line.startswith("torch==")))
        file.flush()
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"]
        command += ["--report", "-", "-r", file.name]
        environment = {**os.environ, "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
        answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    entries = json.loads(answer)["install"]
    return [e["metadata"]["name"] for e in entries if not e["download_info"]["url"].endswith(".whl")]


def blocks(lock: str, names: list[str]) -> str:
    """The requirements of `lock` whose name is in `names`, with their hashes."""
    wanted = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    kept, keep = [], False
    for line in lock.splitlines():
        if pin := PIN.match(line):
            keep = pin[1] in wanted
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def torch_lines(own: list[str], public: list[str]) -> list[str]:
    """Hash lines of one requirement, continued but for the last."""
    every = [f"    --hash=sha256:{value}" for value in dict.fromkeys([*own, *public])]
    return [f"{line} \\" for line in every[:-1]] + every[-1:]


def pins(lock: str) -> str:
    """The bare `name==version` lines of `lock`, torch without its local version so that both builds match."""
    found = [match for line in lock.splitlines() if (match := PIN.match(line))]
    return "".join(f"{m[1]}=={m[2].split('+')[0]}\n" for m in found)


def project() -> dict[str, dict[str, list[str]]]:
    """The [project] table of pyproject.toml."""
    return _toml()["project"]


def build_requirements() -> list[str]:
    """What the build backend needs."""
    return list(_toml()["build-system"]["requires"])


def _toml() -> dict[str, dict[str, dict[str, list[str]]]]:
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def write(name: str, text: str) -> None:
    """Write locks/<name>.txt, refusing text that names a host."""
    if "://" in text or "@ file" in text:
        raise SystemExit(f"locks/{name}.txt would name an address; check the requirements in pyproject.toml")
    header = f"# locks/{name}.txt, written by `make lock`; do not edit\n"
    (LOCKS / f"{name}.txt").write_text(header + text)
    print(f"locks/{name}.txt: {pins(text).count('==')} packages")


if __name__ == "__main__":
    main()

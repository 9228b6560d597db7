"""Checks the host before `make up` starts anything, and says what to change.

Standard library only. Looks at Docker, the Compose version, `.env` and the environment, the published ports, disk and
memory. Prints every problem with its remedy and exits 1 if there is one.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "services"))
from swarm_core.env_names import KNOWN_NAMES  # noqa: E402 - standard library only, found through the path above

LEAST_COMPOSE = (2, 24)  # env_file with `required: false`
LEAST_DISK_GB = {"cpu": 8, "cuda": 25}
LEAST_MEMORY_GB = 3
GIGABYTE = 1_000_000_000
# variable of the port, its default, variable of the address, its default, protocols
PORTS = (
    ("SWARM_LOGIN_PUBLISHED_PORT", 3000, "SWARM_BIND_ADDRESS", "127.0.0.1", ("tcp",)),
    ("SWARM_EXPORTER_PUBLISHED_PORT", 9108, "SWARM_BIND_ADDRESS", "127.0.0.1", ("tcp",)),
    ("SWARM_P2P_PORT", 38751, "SWARM_P2P_BIND", "0.0.0.0", ("tcp", "udp")),  # noqa: S104 - a peer is public
)
HTTPS_PORTS = (
    ("SWARM_HTTPS_PUBLISHED_PORT", 3443, "SWARM_HTTPS_BIND", "0.0.0.0", ("tcp",)),  # noqa: S104 - asked for
)
CADDY_PORTS = (
    ("SWARM_CADDY_HTTP_PORT", 80, "SWARM_CADDY_BIND", "0.0.0.0", ("tcp",)),  # noqa: S104 - asked for
    ("SWARM_CADDY_HTTPS_PORT", 443, "SWARM_CADDY_BIND", "0.0.0.0", ("tcp",)),  # noqa: S104 - asked for
)
HOST_PORTS = (
    ("SWARM_GATEWAY_PUBLISHED_PORT", 8645, "SWARM_GATEWAY_BIND", "0.0.0.0", ("tcp",)),  # noqa: S104 - asked for
)
MONITORING_PORTS = (
    ("SWARM_PROMETHEUS_PORT", 9090, "SWARM_BIND_ADDRESS", "127.0.0.1", ("tcp",)),
    ("SWARM_GRAFANA_PORT", 3002, "SWARM_BIND_ADDRESS", "127.0.0.1", ("tcp",)),
)


def main() -> None:
    """Print all problems; exit 1 if there are any."""
    problems = list(_docker_problems())
    if not problems:
        settings = _settings()
        problems += [*_setting_problems(settings), *_port_problems(settings), *_room_problems(settings)]
    for problem in problems:
        print(f"preflight: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


def _output(*command: str) -> str | None:
    """What `command` prints, or None if it fails."""
    try:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None


def _docker_problems() -> Iterator[str]:
    if shutil.which("docker") is None:
        yield "Docker is not installed: install Docker Engine or Docker Desktop."
    elif _output("docker", "info", "--format", "{{.ServerVersion}}") is None:
        yield "Docker does not answer: start it, and check that this user may use it."
    else:
        version = (_output("docker", "compose", "version", "--short") or "0").lstrip("v")
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers < LEAST_COMPOSE:
            yield f"Docker Compose is {version}, 2.24 or newer is needed: update the Compose plugin."


def _settings() -> dict[str, str]:
    """SWARM_* of .env and, stronger, of the environment."""
    file = ROOT / ".env"
    lines = file.read_text().splitlines() if file.is_file() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    found = {name.strip().removeprefix("export "): value.strip().strip("\"'") for name, value in pairs}
    found |= os.environ
    return {name: value for name, value in found.items() if name.startswith(("SWARM_", "COMPOSE_PROFILES"))}


def _setting_problems(settings: dict[str, str]) -> Iterator[str]:
    for name in sorted(settings):
        if name.startswith("SWARM_") and name not in KNOWN_NAMES:
            near = difflib.get_close_matches(name, sorted(KNOWN_NAMES), n=1, cutoff=0.8)
            hint = f", did you mean {near[0]}?" if near else ": remove it."
            yield f"{name} is not a known setting{hint}"
    if settings.get("SWARM_DEVICE", "cpu") not in ("", "cpu", "cuda"):
        yield f"SWARM_DEVICE is {settings['SWARM_DEVICE']!r}: set it to cpu or cuda."
    access = settings.get("SWARM_ACCESS") or "local"
    if access not in ("local", "https", "domain"):
        yield f"SWARM_ACCESS is {access!r}: set it to local, https or domain."
    if access == "domain" and not settings.get("SWARM_PUBLIC_URL", "").startswith("https://"):
        yield "SWARM_ACCESS=domain needs SWARM_PUBLIC_URL, such as https://node.example."
    if settings.get("SWARM_LOCAL_SWARM", "1") not in ("", "0", "1"):
        yield f"SWARM_LOCAL_SWARM is {settings['SWARM_LOCAL_SWARM']!r}: set it to 1 (a swarm here) or 0 (join one)."
    if settings.get("SWARM_LOCAL_SWARM") == "0":
        for name in ("SWARM_RPC_URL", "SWARM_CHAIN_ID", "SWARM_COORDINATOR"):
            if not settings.get(name):
                yield f"SWARM_LOCAL_SWARM=0 joins another swarm, but {name} is not set: its host tells you the value."
    peers = settings.get("SWARM_LOCAL_PEERS")
    if peers and not peers.isdecimal():
        yield f"SWARM_LOCAL_PEERS is {peers!r}: set it to a number."
    for name, *_ in PORTS + HTTPS_PORTS + CADDY_PORTS + HOST_PORTS + MONITORING_PORTS:
        if settings.get(name) and not _is_port(settings[name]):
            yield f"{name} is {settings[name]!r}: set it to a port number from 1 to 65535."


def _port_problems(settings: dict[str, str]) -> Iterator[str]:
    profiles = settings.get("COMPOSE_PROFILES", "").split(",")
    wanted = PORTS + (MONITORING_PORTS if "monitoring" in profiles else ())
    wanted += HTTPS_PORTS if settings.get("SWARM_ACCESS") == "https" else ()
    wanted += CADDY_PORTS if "caddy" in profiles else ()
    wanted += HOST_PORTS if "host" in profiles else ()
    ours = _own_ports()
    for port_name, default_port, address_name, default_address, protocols in wanted:
        text = settings.get(port_name) or str(default_port)
        address = settings.get(address_name) or default_address
        if not _is_port(text) or int(text) in ours:
            continue
        for protocol in protocols:
            problem = _cannot_bind(address, int(text), protocol)
            if problem == errno.EADDRINUSE:
                yield f"Port {text}/{protocol} on {address} is in use: stop what uses it or set {port_name}."
            elif problem == errno.EADDRNOTAVAIL:
                yield f"{address} is no address of this machine: correct {address_name}."


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65536


def _own_ports() -> set[int]:
    """Host ports that containers of this project publish already."""
    listing = _output("docker", "compose", "ps", "--format", "json") or ""
    entries = json.loads(listing) if listing.startswith("[") else [json.loads(line) for line in listing.splitlines()]
    return {int(p["PublishedPort"]) for entry in entries for p in entry.get("Publishers") or []}


def _cannot_bind(address: str, port: int, protocol: str) -> int | None:
    """The error number of listening there, None if that works."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except socket.gaierror:
            return errno.EADDRNOTAVAIL
        except OSError as error:  # a port below 1024 is no problem: Docker opens it, not this user
            return error.errno
    return None


def _room_problems(settings: dict[str, str]) -> Iterator[str]:
    device = settings.get("SWARM_DEVICE") or "cpu"
    root, memory, runtimes = (
        _output("docker", "info", "--format", "{{.DockerRootDir}}|{{.MemTotal}}|{{.Runtimes}}") or "||"
    ).split("|")[:3]
    tag = settings.get("SWARM_IMAGE_TAG") or "local"
    image = f"rl-swarm/{'cuda' if device == 'cuda' else 'swarm'}:{tag}"
    built = _output("docker", "image", "inspect", "--format", "{{.Id}}", image) is not None
    if not built and root and Path(root).is_dir():
        free = shutil.disk_usage(root).free / GIGABYTE
        if free < LEAST_DISK_GB.get(device, 8):
            yield f"{free:.1f} GB are free in {root}, {LEAST_DISK_GB.get(device, 8)} GB are needed to build: free some."
    if memory.isdecimal() and int(memory) < LEAST_MEMORY_GB * GIGABYTE:
        yield f"Docker has {int(memory) / GIGABYTE:.1f} GB of memory, {LEAST_MEMORY_GB} GB are needed: give it more."
    if device == "cuda" and "nvidia" not in runtimes:
        yield "SWARM_DEVICE=cuda, but Docker has no nvidia runtime: install the NVIDIA container toolkit."


if __name__ == "__main__":
    main()

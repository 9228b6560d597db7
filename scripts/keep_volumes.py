"""Keeps the volumes of a small swarm in one archive, and fills the volumes of a new project from it.

    scripts/keep_volumes.py keep --project rl-swarm tests/e2e/data/volumes-0.1.0.tar.gz
    scripts/keep_volumes.py restore --project new tests/e2e/data/volumes-0.1.0.tar.gz

`keep` reads from a running project what must be found after an update, stops it, and writes the archive and a JSON of
the same name beside it. Owners stay numeric, modes as they are, times are dropped, so the same volumes give the same
bytes. Of the checkpoints only the node's newest is kept, of the chain's state the newest copy. `restore` makes volumes
that Compose takes for its own; it refuses a project that has any. Both work through containers that are thrown away.
`tests/e2e/test_update.py` starts today's images on what an earlier version kept.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

VOLUMES = (
    "api-token", "bootnode-keys", "chain-state", "deployment", "keys",
    "judge-keys", "judge-state", "login-state", "peer-keys", "peer-state", "role-keys", "state",
)  # fmt: skip
CHECKPOINT = re.compile(r"(?P<home>.*checkpoints/[0-9a-f]+)/(?P<name>round-\d{12}-\d{4})(/.*)?")
CHAIN_COPY = re.compile(r"chain-state/(state\.json\.gz\..+|\.new)")  # older copies, and one that was being written
DOCKER_SECONDS = 120
# runs inside a container: the JSON that a socket answers
GET = """
import http.client, socket, sys
connection = http.client.HTTPConnection("localhost", timeout=5)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.settimeout(5)
connection.sock.connect(sys.argv[1])
connection.request("GET", "/v1/status")
sys.stdout.write(connection.getresponse().read().decode())
"""


class KeepError(Exception):
    """Something is not as it must be; the message tells the remedy."""


def main() -> None:
    """Run `keep` or `restore`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=("keep", "restore"))
    parser.add_argument("archive", type=Path)
    parser.add_argument("--project", required=True, help="name of the Compose project")
    parser.add_argument("--image", default="rl-swarm/light:local", help="image of the containers that are thrown away")
    given = parser.parse_args()
    try:
        (keep if given.action == "keep" else restore)(given.project, given.image, given.archive)
    except KeepError as error:
        sys.exit(f"keep_volumes: {error}")


def keep(project: str, image: str, archive: Path) -> None:
    """Write `archive` and the JSON beside it from the running `project`, which is stopped."""
    found = status(project)
    docker("compose", "--project-name", project, "stop")
    mounts = [f"--volume={project}_{name}:/volumes/{name}:ro" for name in VOLUMES]
    raw = docker(
        *thrown_away("DAC_READ_SEARCH"), *mounts, image,
        "tar", "--create", "--hard-dereference", "--numeric-owner", "--directory=/volumes", "--file=-", *VOLUMES,
    )  # fmt: skip
    packed = pack(raw)
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(packed)
    expected = archive.with_name(archive.name.removesuffix(".tar.gz") + ".json")
    expected.write_text(json.dumps({**found, **saved(packed)}, indent=2, sort_keys=True) + "\n")
    print(f"{archive}: {len(packed)} bytes")


def restore(project: str, image: str, archive: Path) -> None:
    """Make the volumes of `project` and fill them from `archive`."""
    if docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={project}").strip():
        raise KeepError(f"{project} has volumes already. Remedy: use the name of a project that does not exist yet.")
    for name in VOLUMES:
        labels = [f"--label=com.docker.compose.project={project}", f"--label=com.docker.compose.volume={name}"]
        docker("volume", "create", *labels, f"{project}_{name}")
    mounts = [f"--volume={project}_{name}:/volumes/{name}:nocopy" for name in VOLUMES]
    docker(
        *thrown_away("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"), *mounts, image,
        "tar", "--extract", "--gzip", "--numeric-owner", "--same-permissions", "--directory=/volumes", "--file=-",
        stdin=archive.read_bytes(),
    )  # fmt: skip


def pack(raw: bytes) -> bytes:
    """A tar.gz of the members of the tar `raw` that are kept, in an order and with times that never change."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(raw)) as given,
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, filename="", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as taken,
    ):
        members = {member.name: member for member in given.getmembers()}
        for name in sorted(wanted(members)):
            member = members[name]
            member.mtime, member.uname, member.gname = 0, "", ""
            taken.addfile(member, given.extractfile(member) if member.isfile() else None)
    return packed.getvalue()


def wanted(names: Iterable[str]) -> list[str]:
    """`names` without the extra peers' checkpoints, all but the newest of the node's, and older copies of the chain."""
    found = list(names)
    checkpoints = [match for name in found if (match := CHECKPOINT.fullmatch(name))]
    own = [match for match in checkpoints if match["home"].startswith("state/")]
    newest = max((match["name"] for match in own), default="")
    dropped = {match.string for match in checkpoints if match not in own or match["name"] != newest}
    return [name for name in found if name not in dropped and not CHAIN_COPY.fullmatch(name)]


def saved(packed: bytes) -> dict[str, Any]:
    """What the archive itself says: deployment, round and optimiser steps of the checkpoint."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = archive.getnames()
        checkpoint = [name for name in names if CHECKPOINT.fullmatch(name) and name.endswith("/state.json")]
        if len(checkpoint) != 1:
            raise KeepError(f"{len(checkpoint)} checkpoints in the archive. Remedy: let the swarm finish some rounds.")
        counters = _json(archive, checkpoint[0])
        return {
            "deployment": _json(archive, "deployment/deployment.json"),
            "training_round": counters["round"],
            "optimizer_step": counters["optimizer_steps"],
        }


def _json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    if file is None:
        raise KeepError(f"{name} is no file. Remedy: look at the volume it is in.")
    return json.load(file)


def status(project: str) -> dict[str, Any]:
    """Who is in the running swarm and what it has reached: ids, account, delivered rewards, chain round, version."""
    login = ask(project, "login-proxy", "/run/login/login.sock")
    node = ask(project, "node", "/run/swarm/node.sock")
    return {
        "version": node["version"],
        "account": login["account"],
        "bootnode": ask(project, "bootnode", "/run/swarm/dht.sock")["peer_id"],
        "chain_round": node["round_current"],
        "peers": {
            peer["node"]: {"peer_id": peer["peer_id"], "delivered_total": peer["delivered_total"]}
            for peer in login["peers"]
        },
    }


def ask(project: str, service: str, path: str) -> dict[str, Any]:
    """The status that the socket `path` in the container of `service` answers."""
    labels = (f"com.docker.compose.project={project}", f"com.docker.compose.service={service}")
    found = docker("ps", "--quiet", *(f"--filter=label={label}" for label in labels)).decode().split()
    if not found:
        raise KeepError(f"{service} of {project} does not run. Remedy: start the project and let it train.")
    answer: dict[str, Any] = json.loads(docker("exec", found[0], "python3", "-I", "-S", "-c", GET, path))
    return answer


def thrown_away(*capabilities: str) -> list[str]:
    """The beginning of a `docker run` as root without network, with no capability but these."""
    run = ["run", "--rm", "--interactive", "--pull=never", "--network=none", "--user=0:0", "--entrypoint="]
    return [*run, "--cap-drop=ALL", *(f"--cap-add={name}" for name in capabilities)]


def docker(*arguments: str, stdin: bytes = b"") -> bytes:
    """Run docker and return what it printed. Raises KeepError with its last line."""
    ended = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, timeout=DOCKER_SECONDS, check=False
    )
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise KeepError(f"docker {arguments[0]} failed and said: {said[-1]}")
    return ended.stdout


if __name__ == "__main__":
    main()

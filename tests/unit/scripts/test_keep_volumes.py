"""What `scripts/keep_volumes.py` keeps of a swarm's volumes: one checkpoint, one state of the chain, owners and modes,
and the same bytes whenever the volumes are the same.
"""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from scripts import keep_volumes

HOME = "state/checkpoints/010e86462b86580b"
NEWEST = f"{HOME}/round-000000000011-0000"


def checkpoint(path: str, number: int) -> dict[str, bytes]:
    counters = {"round": number, "optimizer_steps": number + 1, "extra": {}}
    return {f"{path}/state.json": json.dumps(counters).encode(), f"{path}/weights.safetensors": b"w" * 100}


def volumes() -> dict[str, bytes]:
    return {
        "state/ledger.json": b"{}",
        **checkpoint(f"{HOME}/round-000000000009-0000", 9),
        **checkpoint(NEWEST, 11),
        "peer-state/1/ledger.json": b"{}",
        **checkpoint("peer-state/1/checkpoints/010e86462b86580b/round-000000000012-0000", 12),
        "chain-state/state.json.gz": b"newest",
        "chain-state/state.json.gz.1": b"older",
        "chain-state/.new": b"half",
        "deployment/deployment.json": b'{"chain_id": 53855}',
        "keys/peer/swarm.pem": b"key",
    }


def tar(files: dict[str, bytes], mtime: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(data), 0o440, 1000, 2001
            member.mtime, member.uname, member.gname = mtime, "swarm", "keys"
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def test_the_newest_checkpoint_of_the_node_and_the_newest_chain_are_kept() -> None:
    packed = keep_volumes.pack(tar(volumes(), 5))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == [
            "chain-state/state.json.gz",
            "deployment/deployment.json",
            "keys/peer/swarm.pem",
            "peer-state/1/ledger.json",
            f"{NEWEST}/state.json",
            f"{NEWEST}/weights.safetensors",
            "state/ledger.json",
        ]


def test_owners_and_modes_stay_and_times_go() -> None:
    with tarfile.open(fileobj=io.BytesIO(keep_volumes.pack(tar(volumes(), 5)))) as archive:
        key = archive.getmember("keys/peer/swarm.pem")
        content = archive.extractfile(key)
        assert content is not None
        assert content.read() == b"key"
    assert (key.uid, key.gid, key.mode) == (1000, 2001, 0o440)
    assert (key.mtime, key.uname, key.gname) == (0, "", "")


def test_the_same_volumes_give_the_same_bytes() -> None:
    turned = dict(reversed(volumes().items()))
    assert keep_volumes.pack(tar(volumes(), 5)) == keep_volumes.pack(tar(turned, 99))
    assert keep_volumes.pack(tar(volumes(), 5)) != keep_volumes.pack(tar({**volumes(), "keys/more": b""}, 5))


def test_the_archive_tells_what_must_be_found() -> None:
    found = keep_volumes.saved(keep_volumes.pack(tar(volumes(), 5)))
    assert found == {"deployment": {"chain_id": 53855}, "training_round": 11, "optimizer_step": 12}


def test_a_swarm_without_a_checkpoint_is_not_kept() -> None:
    young = {name: data for name, data in volumes().items() if not name.startswith(HOME)}
    with pytest.raises(keep_volumes.KeepError, match="let the swarm finish some rounds"):
        keep_volumes.saved(keep_volumes.pack(tar(young, 5)))

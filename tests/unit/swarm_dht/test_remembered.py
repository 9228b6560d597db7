"""Remembered peers survive a restart, the latest first; a damaged or hostile file is an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_dht.remembered import FILE_NAME, Remembered


def test_round_trip_with_the_latest_first(tmp_path: Path) -> None:
    peers = {f"Qm{number}x".replace("0", "z"): [f"/ip4/10.0.0.{number}/tcp/38751"] for number in range(1, 100)}
    kept = Remembered(tmp_path)
    kept.write(peers)
    assert kept.count == 64
    found = Remembered(tmp_path).read()
    assert list(found) == list(reversed(peers))[:64]
    assert found["Qm99x"] == ["/ip4/10.0.0.99/tcp/38751"]


def test_what_cannot_be_dialled_is_left_out_and_being_alone_forgets_nothing(tmp_path: Path) -> None:
    kept = Remembered(tmp_path)
    kept.write({"QmA": ["/ip4/10.0.0.1/tcp/1"], "QmB": [], "QmC": ["/p2p-circuit"]})
    kept.write({})
    assert Remembered(tmp_path).read() == {"QmA": ["/ip4/10.0.0.1/tcp/1"]}


def test_an_unchanged_list_is_not_written_again(tmp_path: Path) -> None:
    kept = Remembered(tmp_path)
    kept.write({"QmA": ["/ip4/10.0.0.1/tcp/1"], "QmB": ["/ip4/10.0.0.2/tcp/1"]})
    (tmp_path / FILE_NAME).unlink()
    kept.write({"QmB": ["/ip4/10.0.0.2/tcp/1"], "QmA": ["/ip4/10.0.0.1/tcp/1"]})
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/1/p2p/0", "/ip4/1.2.3.4/tcp/0/p2p/QmA", "\xff\n" * 9999,
     "/ip4/1.2.3.4/tcp/1/p2p/QmA/p2p-circuit"],
)  # fmt: skip
def test_a_bad_file_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert Remembered(tmp_path).read() == {}


def test_no_file_and_no_room(tmp_path: Path) -> None:
    assert Remembered(tmp_path / "nowhere").read() == {}
    Remembered(tmp_path / "nowhere").write({"QmA": ["/ip4/10.0.0.1/tcp/1"]})


def test_addresses_are_bounded(tmp_path: Path) -> None:
    many = [f"/ip4/10.0.0.{number}/tcp/1" for number in range(50)]
    (tmp_path / FILE_NAME).write_text("\n".join(f"{address}/p2p/QmA" for address in many))
    assert Remembered(tmp_path).read() == {"QmA": many[:4]}

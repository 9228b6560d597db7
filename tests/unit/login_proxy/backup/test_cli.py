"""`swarm-identity`: a round trip from one node to another, nothing in the arguments, and refusals in one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.keys import quick_key

from login_proxy import keystore as keystore_module
from login_proxy.backup import bundle, cli
from login_proxy.backup.bundle import BEGIN
from login_proxy.keystore import Keystore
from swarm_core.identity import parse_key
from swarm_dht.key_file import take_incoming

PASSPHRASE = "correct horse battery"
PEER = quick_key(1)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command for the node below a directory: exit code, standard output, log."""
    monkeypatch.setattr(keystore_module, "_ITERATIONS", 2)
    monkeypatch.setattr(bundle, "_MEMORY_KIB", 8 * 1024)

    def command(node: Path, *arguments: str) -> tuple[int, str, str]:
        for name in ("keys/account", "keys/peer", "state"):
            (node / name).mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("SWARM_KEYS_DIR", str(node / "keys"))
        monkeypatch.setenv("SWARM_STATE_DIR", str(node / "state"))
        monkeypatch.setenv("SWARM_PEER_KEYS_DIR", str(node / "peer-keys"))
        monkeypatch.setenv("SWARM_COORDINATOR", "0x" + "c0" * 20)
        monkeypatch.setattr(sys, "argv", ["swarm-identity", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out = capsys.readouterr()
        return code, out.out, out.err

    return command


def node_of(directory: Path) -> Keystore:
    return Keystore(directory / "keys/account", directory / "state/unlock.secret")


@pytest.fixture
def passphrase(tmp_path: Path) -> str:
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    return str(tmp_path / "passphrase")


def test_an_identity_moves_to_another_node(run: Run, tmp_path: Path, passphrase: str) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    run(here, "inspect", "/nowhere")  # makes the directories
    account = node_of(here).create()
    (here / "keys/peer/swarm.pem").write_bytes(PEER)
    code, text, log = run(here, "export", "--move", "--passphrase-file", passphrase)
    assert (code, text.startswith(BEGIN)) == (0, True)
    assert (here / "keys/account/moved.json").exists()
    assert (here / "state/backup.json").exists()
    saved = tmp_path / "saved"
    saved.write_text(text)

    code, told, _ = run(there, "inspect", str(saved))
    assert json.loads(told)["peer_id"] == parse_key(PEER).peer_id
    code, told, more = run(there, "inspect", str(saved), "--passphrase-file", passphrase)
    assert (json.loads(told)["account"], json.loads(told)["opens"]) == (account.address, True)

    code, _, log_there = run(there, "import", str(saved), "--passphrase-file", passphrase)
    assert code == 0
    assert node_of(there).load().address == account.address
    assert take_incoming(there / "keys/peer") == parse_key(PEER).peer_id
    everything = log + more + log_there + told
    assert bytes(account.key).hex() not in everything
    assert PASSPHRASE not in everything


def test_an_identity_that_is_there_is_replaced_only_when_told(run: Run, tmp_path: Path, passphrase: str) -> None:
    run(tmp_path / "a", "inspect", "/nowhere")
    before = node_of(tmp_path / "a").create().address
    (tmp_path / "bare.pem").write_bytes(PEER)
    code, _, log = run(tmp_path / "a", "import", str(tmp_path / "bare.pem"))
    assert (code, "--yes" in log) == (1, True)
    assert not (tmp_path / "a/keys/peer/incoming.pem").exists()
    assert run(tmp_path / "a", "import", str(tmp_path / "bare.pem"), "--yes")[0] == 0
    assert node_of(tmp_path / "a").load().address == before, "a bare swarm.pem has no account"
    assert take_incoming(tmp_path / "a/keys/peer") == parse_key(PEER).peer_id


def test_a_damaged_keystore_is_restored(run: Run, tmp_path: Path, passphrase: str) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    run(here, "inspect", "/nowhere")
    account = node_of(here).create().address
    (here / "peer-keys/1").mkdir(parents=True)
    (here / "peer-keys/1/swarm.pem").write_bytes(quick_key(5))
    (tmp_path / "saved").write_text(run(here, "export", "--passphrase-file", passphrase)[1])
    told = json.loads(run(here, "inspect", str(tmp_path / "saved"))[1])
    assert told["extra_peers"] == {"1": parse_key(quick_key(5)).peer_id}
    run(there, "inspect", "/nowhere")
    (there / "keys/account/keystore.json").write_text("{")
    (there / "peer-keys").mkdir()
    command = ("import", str(tmp_path / "saved"), "--passphrase-file", passphrase)
    code, _, log = run(there, *command)
    assert (code, "account=damaged" in log, "--yes" in log) == (1, True, True)
    assert run(there, *command, "--yes")[0] == 0
    assert node_of(there).load().address == account
    assert take_incoming(there / "peer-keys/1") == parse_key(quick_key(5)).peer_id


def test_a_running_service_keeps_the_wallet(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "a", "inspect", "/nowhere")
    (tmp_path / "bare.pem").write_bytes(PEER)
    with node_of(tmp_path / "a").lock():
        code, _, log = run(tmp_path / "a", "import", str(tmp_path / "bare.pem"))
    assert (code, "Another login service uses the wallet" in log) == (1, True)


def test_refusals_are_one_line(run: Run, tmp_path: Path, passphrase: str) -> None:
    code, out, log = run(tmp_path / "a", "export", "--passphrase-file", passphrase)
    assert (code, out, "claim the node first" in log) == (1, "", True)
    (tmp_path / "junk").write_bytes(b"\xff\x00junk")
    for arguments in (("inspect", str(tmp_path / "junk")), ("import", str(tmp_path / "junk")), ("inspect", "/nowhere")):
        code, _, log = run(tmp_path / "a", *arguments)
        assert code == 1
        assert "Traceback" not in log


def test_two_different_passphrases_export_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "a", "inspect", "/nowhere")
    node_of(tmp_path / "a").create()
    answers = iter(["correct horse battery", "another horse battery", PASSPHRASE, PASSPHRASE])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    code, out, log = run(tmp_path / "a", "export")
    assert (code, out, "differ" in log) == (1, "", True)
    code, out, _ = run(tmp_path / "a", "export")
    assert (code, out.startswith(BEGIN)) == (0, True)

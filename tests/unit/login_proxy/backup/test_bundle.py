"""The backup opens with its passphrase and with nothing else; what was changed, cut or asks for too much is refused."""

from __future__ import annotations

import base64
import json
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.keys import quick_key

from login_proxy.backup import bundle
from login_proxy.backup.bundle import BEGIN, END, BundleError, Identity, describe, private_key, read_text, seal, unseal
from swarm_core.identity import parse_key

PASSPHRASE = "correct horse battery"
WHOLE = Identity(quick_key(1), bytes(range(1, 33)))
CONTRACT = "0x" + "c0" * 20


@pytest.fixture(scope="module")
def sealed() -> str:
    """A bundle with cheap parameters: what they are is tested once, below."""
    before, bundle._MEMORY_KIB, bundle._PASSES = (bundle._MEMORY_KIB, bundle._PASSES), 8 * 1024, 1
    try:
        return seal(WHOLE, PASSPHRASE, 685685, CONTRACT)
    finally:
        bundle._MEMORY_KIB, bundle._PASSES = before


def rewrite(text: str, change: object) -> str:
    """The bundle with its header changed by `change`, everything else as it was."""
    data = base64.b64decode("".join(text.replace(BEGIN, "").replace(END, "").split()))
    start = len(bundle._MAGIC) + 4
    (length,) = struct.unpack_from(">I", data, len(bundle._MAGIC))
    header = json.loads(data[start : start + length])
    change(header)  # type: ignore[operator]
    encoded = json.dumps(header).encode()
    out = bundle._MAGIC + struct.pack(">I", len(encoded)) + encoded + data[start + length :]
    return f"{BEGIN}\n{base64.b64encode(out).decode()}\n{END}\n"


def test_round_trip_with_the_real_parameters() -> None:
    text = seal(WHOLE, PASSPHRASE, 685685, CONTRACT)
    assert unseal(text, PASSPHRASE) == WHOLE
    assert len(text) < 6000
    assert "memory_kib" not in text, "nothing readable by accident"
    header = describe(text)
    assert (header.peer_id, header.account) == (parse_key(WHOLE.peer_key or b"").peer_id, WHOLE.account)
    assert (header.chain_id, header.contract) == (685685, CONTRACT)
    parameters: dict[str, object] = {}
    rewrite(text, parameters.update)
    assert (bundle._MEMORY_KIB, bundle._PASSES, bundle._LANES) == (65536, 3, 4)


def cheaply(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(bundle, "_MEMORY_KIB", 8 * 1024)
    monkeypatch.setattr(bundle, "_PASSES", 1)
    return seal(identity, PASSPHRASE, 1, "")


def test_extra_peers_come_back_in_their_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Identity(WHOLE.peer_key, WHOLE.account_key, {1: quick_key(2), 64: quick_key(3)})
    text = cheaply(whole, monkeypatch)
    assert unseal(text, PASSPHRASE) == whole
    assert describe(text).extra_peers == whole.extra_peers
    assert whole.extra_peers == {slot: parse_key(key).peer_id for slot, key in whole.extra_keys.items()}


def test_a_backup_of_an_earlier_version_opens() -> None:
    text = Path(__file__).with_name("data").joinpath("without-extra-peers.txt").read_text()
    assert unseal(text, PASSPHRASE) == WHOLE
    assert describe(text).extra_peers == {}


def test_the_largest_host_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {slot: quick_key(slot + 1) for slot in range(1, 65)}
    text = cheaply(Identity(WHOLE.peer_key, WHOLE.account_key, keys), monkeypatch)
    longer = 64 * (1250 - len(quick_key(1))) * 16 / 9 * 65 / 64  # an RSA key is that much longer, in base64 twice
    assert len(text) + longer < bundle.MAX_TEXT_BYTES


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({1: quick_key(2), 2: quick_key(2)}, "one peer twice"),
        ({1: quick_key(1)}, "one peer twice"),
        ({0: quick_key(2)}, "cannot be"),
        ({65: quick_key(2)}, "cannot be"),
    ],
)
def test_extra_peers_that_cannot_be_are_refused(
    extra: dict[int, bytes], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = cheaply(Identity(WHOLE.peer_key, None, extra), monkeypatch)
    with pytest.raises(BundleError, match=words):
        unseal(text, PASSPHRASE)


def test_a_terminal_may_add_what_it_likes_around_the_lines(sealed: str) -> None:
    assert unseal("Passphrase: \r\n" + sealed.replace("\n", "\r\n") + "bye", PASSPHRASE) == WHOLE
    assert read_text(sealed, PASSPHRASE) == WHOLE


@pytest.mark.parametrize("identity", [Identity(WHOLE.peer_key, None), Identity(None, WHOLE.account_key)])
def test_a_part_alone(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_MEMORY_KIB", 8 * 1024)
    assert unseal(seal(identity, PASSPHRASE, 1, ""), PASSPHRASE) == identity


def test_a_wrong_passphrase_does_not_open(sealed: str) -> None:
    for wrong in (PASSPHRASE + "x", PASSPHRASE[:-1], "", PASSPHRASE.upper()):
        with pytest.raises(BundleError, match="passphrase is wrong"):
            unseal(sealed, wrong)
    with pytest.raises(BundleError, match="at most"):
        unseal(sealed, "x" * 1025)


@pytest.mark.parametrize("name", ["peer_id", "account", "chain_id", "contract", "created_at"])
def test_a_header_that_was_changed_does_not_open(sealed: str, name: str) -> None:
    def change(header: dict[str, object]) -> None:
        header[name] = 7

    with pytest.raises(BundleError, match="damaged"):
        unseal(rewrite(sealed, change), PASSPHRASE)


@settings(max_examples=30, deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(place: int, bit: int) -> None:
    body = bytearray(base64.b64decode("".join(SHORT.replace(BEGIN, "").replace(END, "").split())))
    body[place % len(body)] ^= 1 << bit
    with pytest.raises(BundleError):
        unseal(f"{BEGIN}\n{base64.b64encode(body).decode()}\n{END}", PASSPHRASE)


def _short() -> str:
    before, bundle._MEMORY_KIB, bundle._PASSES = (bundle._MEMORY_KIB, bundle._PASSES), 8 * 1024, 1
    try:
        return seal(Identity(None, WHOLE.account_key), PASSPHRASE, 1, "")
    finally:
        bundle._MEMORY_KIB, bundle._PASSES = before


SHORT = _short()


@pytest.mark.parametrize("cut", [0, 10, 60, 200, 500])
def test_what_is_cut_short_is_refused(sealed: str, cut: int) -> None:
    inside = sealed[: len(BEGIN) + cut] + f"\n{END}"
    for text in (sealed[: len(BEGIN) + cut], inside):
        with pytest.raises(BundleError):
            unseal(text, PASSPHRASE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory_kib", 128 * 1024 + 1), ("memory_kib", 2**31), ("memory_kib", 1), ("memory_kib", "65536"),
        ("memory_kib", True), ("passes", 11), ("passes", 0), ("lanes", 9), ("lanes", 0), ("salt", "00"), ("salt", "xx"),
        ("salt", 5), ("name", "scrypt"),
    ],
)  # fmt: skip
def test_what_asks_for_too_much_costs_nothing(sealed: str, name: str, value: object) -> None:
    bomb = rewrite(sealed, lambda header: header["kdf"].update({name: value}))
    tracemalloc.start()
    with pytest.raises(BundleError, match="key derivation that is not accepted"):
        unseal(bomb, PASSPHRASE)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_newer_and_foreign_formats_are_named(sealed: str) -> None:
    for change in ({"version": 2}, {"cipher": "rot13"}):
        with pytest.raises(BundleError, match="newer version"):
            unseal(rewrite(sealed, lambda header, change=change: header.update(change)), PASSPHRASE)
    for text in ("", "hello", END + BEGIN, f"{BEGIN}\n{base64.b64encode(b'else').decode()}\n{END}"):
        with pytest.raises(BundleError):
            describe(text)
    with pytest.raises(BundleError, match="longer than any"):
        unseal(BEGIN + "A" * bundle.MAX_TEXT_BYTES + END, PASSPHRASE)
    with pytest.raises(BundleError, match="header is incomplete"):
        describe(rewrite(sealed, lambda header: header.pop("chain_id")))


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 9, "x" * 1025])
def test_a_bad_passphrase_is_refused_at_once(passphrase: str) -> None:
    with pytest.raises(BundleError, match="10 to 1024"):
        seal(WHOLE, passphrase, 1, "")


def test_a_bare_swarm_pem_is_taken() -> None:
    assert WHOLE.peer_key is not None
    text = base64.encodebytes(WHOLE.peer_key).decode()
    assert read_text(text, "") == Identity(WHOLE.peer_key, None)
    for bad in ("", "!!!", base64.b64encode(b"junk").decode(), text.strip()[:-12], "A" * 13_000):
        with pytest.raises(BundleError):
            read_text(bad, "")


def test_a_private_key_is_taken() -> None:
    key = "0x" + "11" * 32
    assert private_key(f" {key}\n").account == "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    for bad in ("", "0x12", "11" * 33, "zz" * 32, "00" * 32, "ff" * 32):
        with pytest.raises(BundleError):
            private_key(bad)


def test_keys_do_not_print() -> None:
    assert repr(WHOLE) == "Identity(...)"

"""Pages identity, outbox and backup: what they show, what they change, and that no key ever stands on one."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from tests.support.keys import quick_key
from tests.unit.login_proxy.web.test_page import browser_of, claim_form

from login_proxy.backup import bundle
from login_proxy.backup.bundle import BEGIN, Identity, seal, unseal
from login_proxy.identity_state import Situation
from login_proxy.node import LoginNode
from login_proxy.outbox.funds import Shortage
from login_proxy.outbox.intents import ParkReason, claim, guess, reward
from login_proxy.texts import wallet as words
from login_proxy.web import backup as backup_page
from swarm_core.identity import parse_key
from swarm_dht.key_file import take_incoming

PASSPHRASE = "correct horse battery staple"
OLD, NEW = quick_key(1), Identity(quick_key(2), b"\x22" * 32)


@pytest.fixture
def node(make_node: Callable[..., LoginNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoginNode:
    monkeypatch.setattr(bundle, "_MEMORY_KIB", 8 * 1024)
    monkeypatch.setattr(bundle, "_PASSES", 1)
    node = make_node()
    (tmp_path / "keys/peer").mkdir()
    (tmp_path / "keys/peer/swarm.pem").write_bytes(OLD)
    return node


@pytest.fixture
async def browser(node: LoginNode) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(node) as client:
        await client.post("/claim", data=claim_form(node))
        yield client


def account(node: LoginNode) -> str:
    assert node.wallet is not None
    return node.wallet.address


async def test_the_backup_downloads_and_opens(browser: httpx.AsyncClient, node: LoginNode) -> None:
    assert words.PAGE["backup_banner"] in (await browser.get("/")).text
    form = {"passphrase": PASSPHRASE, "passphrase_again": PASSPHRASE}
    answer = await browser.post("/backup/export", data=form)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["cache-control"] == "no-store"
    identity = unseal(answer.text, PASSPHRASE)
    assert (identity.peer_key, identity.account) == (OLD, account(node))
    page = (await browser.get("/backup")).text
    assert words.PAGE["backup_banner"] not in page
    assert identity.account_key is not None
    assert identity.account_key.hex() not in page
    assert "identity_exported" in [entry.event for entry in node.audit.newest(5)]


@pytest.mark.parametrize(
    ("form", "status", "words_of"),
    [
        ({"passphrase": "short", "passphrase_again": "short"}, 400, "10 to 1024"),
        ({"passphrase": PASSPHRASE, "passphrase_again": "other"}, 400, words.BACKUP_MISMATCH),
    ],
)
async def test_an_export_that_fails_says_why(
    browser: httpx.AsyncClient, form: dict[str, str], status: int, words_of: str
) -> None:
    answer = await browser.post("/backup/export", data=form)
    assert (answer.status_code, words_of in answer.text, BEGIN in answer.text) == (status, True, False)
    assert PASSPHRASE not in answer.text


def ticket_of(page: str) -> str:
    found = re.search(r'name="ticket" value="([\w-]+)"', page)
    assert found is not None
    return found[1]


async def test_a_restore_shows_what_it_replaces_and_then_does_it(
    browser: httpx.AsyncClient, node: LoginNode, tmp_path: Path
) -> None:
    before = account(node)
    text = seal(NEW, PASSPHRASE, 685685, "0xc0")
    looked = await browser.post("/backup/open", data={"bundle": text, "passphrase": PASSPHRASE})
    assert looked.status_code == 200
    for shown in (NEW.peer_id, NEW.account, before, parse_key(OLD).peer_id, "685685"):
        assert str(shown) in looked.text
    assert account(node) == before, "nothing happens before it is confirmed"
    done = await browser.post("/backup/restore", data={"ticket": ticket_of(looked.text)})
    assert (done.status_code, done.headers["location"]) == (303, "/backup?done")
    assert words.PAGE["restore_done"] in (await browser.get("/backup?done")).text
    assert account(node) == NEW.account == str(node.keystore.load().address)
    assert take_incoming(tmp_path / "keys/peer") == NEW.peer_id
    kept = list((tmp_path / "keys/account").glob("replaced-*/*"))
    assert sorted(path.name for path in kept) == ["keystore.json", "swarm.pem"]
    again = await browser.post("/backup/restore", data={"ticket": ticket_of(looked.text)})
    assert (again.status_code, words.RESTORE_EXPIRED in again.text) == (409, True)


async def test_the_largest_backup_passes_and_only_after_a_proof(
    browser: httpx.AsyncClient, node: LoginNode, tmp_path: Path
) -> None:
    (tmp_path / "peer-keys").mkdir()
    many = Identity(quick_key(2), b"\x22" * 32, {slot: quick_key(100 + slot) for slot in range(1, 65)})
    body = {"bundle": seal(many, PASSPHRASE, 1, "").replace("\n", "\r\n") + " " * 150_000, "passphrase": PASSPHRASE}
    looked = await browser.post("/backup/open", data=body)
    for slot, peer in many.extra_peers.items():
        assert f"Extra peer {slot}<" in looked.text
        assert peer in looked.text
    await browser.post("/backup/restore", data={"ticket": ticket_of(looked.text)})
    assert take_incoming(tmp_path / "peer-keys/64") == many.extra_peers[64]
    take_incoming(tmp_path / "peer-keys/7")
    assert many.extra_peers[7] in (await browser.get("/backup")).text
    body["bundle"] += " " * 100_000
    assert (await browser.post("/backup/open", data=body)).status_code == 400
    async with browser_of(node) as stranger:
        assert (await stranger.post("/backup/open", data=body)).headers["location"] == "/login"


async def test_a_ticket_is_for_one_session_and_some_minutes(
    browser: httpx.AsyncClient, node: LoginNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, text = account(node), base64.encodebytes(quick_key(3)).decode()
    looked = await browser.post("/backup/open", data={"bundle": text})
    async with browser_of(node) as other:
        await other.post("/login", data={"password": "correct horse battery"})
        stolen = await other.post("/backup/restore", data={"ticket": ticket_of(looked.text)})
        assert stolen.status_code == 409
    for ticket in ("", "x", "ü"):
        assert (await browser.post("/backup/restore", data={"ticket": ticket})).status_code == 409
    monkeypatch.setattr(backup_page, "_WAIT_SECONDS", -1.0)
    looked = await browser.post("/backup/open", data={"bundle": text})
    assert (await browser.post("/backup/restore", data={"ticket": ticket_of(looked.text)})).status_code == 409
    assert account(node) == before


@pytest.mark.parametrize("text", ["", "junk", f"{BEGIN}\nAAAA\n", "A" * 13_000])
async def test_what_is_no_backup_is_refused(browser: httpx.AsyncClient, node: LoginNode, text: str) -> None:
    answer = await browser.post("/backup/open", data={"bundle": text, "passphrase": PASSPHRASE})
    assert answer.status_code == 400
    assert "ticket" not in answer.text
    wrong = await browser.post("/backup/open", data={"bundle": seal(NEW, PASSPHRASE, 1, ""), "passphrase": "wrong one"})
    assert (wrong.status_code, "passphrase is wrong" in wrong.text) == (400, True)


async def test_a_moved_node_signs_nothing_until_it_is_taken_back(browser: httpx.AsyncClient, node: LoginNode) -> None:
    before = account(node)
    assert (await browser.post("/backup/moved", data={"moved": "1"})).status_code == 303
    assert node.wallet is None
    assert node.writer.registrar is None
    assert words.PAGE["moved_banner"] in (await browser.get("/")).text
    await node.open_account(create=True)
    assert node.wallet is None, "not even after a restart"
    assert (await node.status()).state == "claimed"
    assert (await browser.post("/backup/moved", data={"moved": "0"})).status_code == 303
    assert account(node) == before


async def test_an_imported_key_is_used_and_the_old_one_kept(
    browser: httpx.AsyncClient, node: LoginNode, tmp_path: Path
) -> None:
    before = account(node)
    bad = await browser.post("/identity/key", data={"key": "11" * 31})
    assert (bad.status_code, words.KEY_BAD in bad.text) == (400, True)
    assert account(node) == before
    assert (await browser.post("/identity/key", data={"key": "0x" + "22" * 32})).status_code == 303
    assert account(node) == NEW.account
    assert len(list((tmp_path / "keys/account").glob("replaced-*/keystore.json"))) == 1
    assert not (tmp_path / "keys/peer/incoming.pem").exists()
    page = (await browser.get("/identity")).text
    assert account(node) in page
    assert "22" * 32 not in page


@pytest.mark.parametrize(
    ("change", "label", "remedy"),
    [
        ({"foreign": {"QmPeerA": "0xother"}}, "Owned by another account", "Restore the backup of that account"),
        ({"short": Shortage(1, 10**15)}, "No gas", "Send at least 0.000999999999999999 ETH on chain 53855 to "),
        ({"chain_state": "wrong", "chain_reason": "another genesis"}, "Wrong chain", "Correct SWARM_RPC_URL"),
        ({"chain_state": "unreachable", "chain_reason": "refused"}, "Chain unreachable", "Nothing is lost meanwhile"),
        ({}, "Registering", "Wait a moment"),
    ],
)
async def test_every_state_stands_on_the_page_with_its_remedy(
    browser: httpx.AsyncClient, node: LoginNode, change: dict[str, object], label: str, remedy: str
) -> None:
    facts: dict[str, object] = {
        "claimed": True, "account": account(node), "chain_state": "ok", "chain_reason": "", "registered": frozenset(),
        "foreign": {}, "chain_id": node.settings.chain_id,
    }  # fmt: skip
    node.situation = lambda: Situation(**(facts | change))  # type: ignore[method-assign,arg-type]
    for path in ("/identity", "/"):
        page = (await browser.get(path)).text
        assert label in page, path
        assert remedy in page, path


async def test_the_outbox_shows_states_reasons_and_totals(browser: httpx.AsyncClient, node: LoginNode) -> None:
    done, _ = node.store.put(reward("QmPeerA", 7, 0, 5))
    node.store.deliver([(done.id, "0x" + "ab" * 32, 3)], None)
    bad, _ = node.store.put(reward("QmPeerA", 8, 0, 6))
    node.store.reject(bad.id, "InvalidRoundNumber")
    node.store.put(guess("QmPeerA", 2, 1, 0, 5))
    node.store.put(claim("QmPeerA", 3))
    node.store.put(reward("QmPeerA", 9, 0, 6))
    node.store.park(ParkReason.OWNED_BY_OTHER, "QmPeerA")
    page = (await browser.get("/outbox")).text
    for shown in (
        "On chain",
        "Rejected",
        "Held",
        "round not begun, or too old",
        "game 2, clue 1",
        "0xabababab…",
        "Bets",
    ):
        assert shown in page, shown
    assert ">11<" in re.sub(r"\s", "", page), "5 delivered and 6 held were earned"
    only = (await browser.get("/outbox", params={"state": "rejected"})).text
    assert ("round not begun, or too old" in only, "game 2, clue 1" in only) == (True, False)
    assert (await browser.get("/outbox", params={"state": "<script>"})).status_code == 200
    assert words.PAGE["outbox_none"] in (await browser.get("/outbox", params={"state": "sent"})).text


async def test_a_disk_that_fails_is_told_and_the_old_account_goes_on(
    browser: httpx.AsyncClient, node: LoginNode, tmp_path: Path
) -> None:
    before = account(node)
    (tmp_path / "keys/peer/swarm.pem").unlink()
    (tmp_path / "keys/peer").rmdir()
    (tmp_path / "keys/peer").write_text("a file")
    looked = await browser.post("/backup/open", data={"bundle": base64.encodebytes(quick_key(3)).decode()})
    answer = await browser.post("/backup/restore", data={"ticket": ticket_of(looked.text)})
    assert (answer.status_code, "keys volume" in answer.text) == (503, True)
    assert account(node) == before
    assert node.writer.registrar is not None
    export = await browser.post("/backup/export", data={"passphrase": PASSPHRASE, "passphrase_again": PASSPHRASE})
    assert (export.status_code, "keys volume" in export.text) == (503, True)

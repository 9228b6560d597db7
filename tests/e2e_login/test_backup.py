"""Backup on one node, restore on another: the same peer id and account, after a fresh proof of who asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect
from tests.e2e_login.steps import claim_with_password, forget_proofs
from tests.support.login_service import Daemon, Login

from swarm_core.identity import generate_key, parse_key
from swarm_dht.key_file import take_incoming

PASSPHRASE = "a passphrase for the test"


def test_an_identity_moves_to_a_second_node(
    page: Page, login: Login, make_login: Callable[..., Login], make_context: Callable[..., BrowserContext],
    peer_pem: bytes, tmp_path: Path,
) -> None:  # fmt: skip
    claim_with_password(page, login)
    account = login.status().account
    forget_proofs(login)
    form = {"passphrase": PASSPHRASE, "passphrase_again": PASSPHRASE}
    headers = {"origin": login.origin}
    early = page.context.request.post(f"{login.origin}/backup/export", form=form, headers=headers, max_redirects=0)
    assert early.headers["location"].startswith("/confirm?next=/backup"), "step-up comes first"
    page.goto(f"{login.origin}{early.headers['location']}")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Confirm with the password").click()
    expect(page).to_have_url(re.compile("/backup$"))
    exported = page.context.request.post(f"{login.origin}/backup/export", form=form, headers=headers)
    assert exported.headers["content-disposition"].startswith("attachment")
    bundle = exported.text()

    second = make_login("second")
    other_key = generate_key()
    daemon = Daemon(second.directory / "run/dht.sock", parse_key(other_key))
    peer_dir = second.directory / "keys/peer"
    peer_dir.mkdir()
    (peer_dir / "swarm.pem").write_bytes(other_key)
    second.start()
    there = make_context().new_page()
    claim_with_password(there, second)
    assert second.status().account != account
    there.goto(f"{second.origin}/backup")
    there.locator("#bundle").fill(bundle)
    there.locator("#opens").fill(PASSPHRASE)
    there.locator("form[action='/backup/open'] button").click()
    expect(there.locator("main")).to_contain_text(parse_key(peer_pem).peer_id)
    expect(there.locator("main")).to_contain_text(str(account))
    there.locator("form[action='/backup/restore'] button").click()
    expect(there).to_have_url(re.compile("/backup"))
    assert second.status().account == account
    assert (peer_dir / "incoming.pem").read_bytes() == peer_pem
    take_incoming(peer_dir)
    assert parse_key((peer_dir / "swarm.pem").read_bytes()).peer_id == parse_key(peer_pem).peer_id
    daemon.close()

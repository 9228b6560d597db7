"""A node moves: backup on one, restore on another, with the real daemon; the same peer and account go on counting. And
no secret stands in anything that either of them wrote or shows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import httpx
import pytest
from tests.support.chains import LocalChain
from tests.support.daemons import Daemon
from tests.support.login_service import Login, wait_until
from tests.support.secret_scan import of_login, of_processes, scan

from swarm_chain import calls

PASSWORD, PASSPHRASE = "correct horse battery", "a passphrase of the backup"


def claim(login: Login, browser: httpx.Client) -> None:
    form = {"token": login.setup_token(), "password": PASSWORD, "password_again": PASSWORD}
    assert browser.post("/claim", data=form).status_code == 303


def reward(login: Login, peer_id: str, number: int, amount: int) -> int:
    body = {"orgId": "local", "peerId": peer_id, "roundNumber": number, "stageNumber": 0, "reward": amount}
    with login.api() as api:
        return api.post("submit-reward", json=body).status_code


async def next_round(chain: LocalChain) -> None:
    async with chain.client() as client:
        await chain.role(client, "stage-manager").send(calls.update_stage_and_round())


def daemon_of(login: Login) -> Daemon:
    return Daemon(login.directory, SWARM_KEY_DIR=str(login.directory / "keys/peer"))


@pytest.mark.timeout(400)  # the deadlines below count; this is for a busy machine
def test_a_node_moves_with_its_backup(make_login: Callable[..., Login], chain: LocalChain) -> None:
    asyncio.run(next_round(chain))
    here, there = make_login("here", mode="page"), make_login("there", mode="page")
    daemons = [daemon_of(here), daemon_of(there)]
    try:
        for login, daemon in zip((here, there), daemons, strict=True):
            (login.directory / "keys/peer").mkdir(parents=True)
            daemon.start().up()
            login.start()
        with here.browser() as browser:
            claim(here, browser)
            wait_until(lambda: here.status().state == "registered", 40)
            peer_id, account = here.status().peers[0].peer_id, here.status().account
            assert reward(here, peer_id, 0, 5) == 200
            assert here.status().backup_missing
            text = browser.post("/backup/export", data={"passphrase": PASSPHRASE, "passphrase_again": PASSPHRASE}).text
            assert browser.post("/backup/moved", data={"moved": "1"}).status_code == 303
        assert (here.status().backup_missing, here.status().moved) == (False, True)
        key_here = of_login(here.directory)
        assert here.stop() == 0
        daemons[0].kill()

        with there.browser() as browser:
            claim(there, browser)
            wait_until(lambda: there.status().state == "registered", 40)
            own = there.status()
            assert own.account != account
            looked = browser.post("/backup/open", data={"bundle": text, "passphrase": PASSPHRASE}).text
            for shown in (peer_id, account, own.account, own.peers[0].peer_id):
                assert str(shown) in looked
            ticket = re.search(r'name="ticket" value="([\w-]+)"', looked)
            assert ticket is not None
            assert browser.post("/backup/restore", data={"ticket": ticket[1]}).status_code == 303
        process = daemons[1].process
        assert process is not None
        assert process.wait(timeout=20) != 0, "the daemon ends, and Compose starts it again"
        daemons[1].start().up()
        assert daemons[1].status()["peer_id"] == peer_id
        assert (there.directory / f"keys/peer/replaced-{own.peers[0].peer_id}.pem").exists()

        def mine() -> bool:
            status = there.status()
            states = {peer.peer_id: peer.state for peer in status.peers}
            return status.account == account and states.get(peer_id) == "registered"

        wait_until(mine, 40)
        assert there.status().state == "registered", "the replaced peer is none of this node's any more"
        assert [peer.peer_id for peer in there.status().peers] == [peer_id]
        assert reward(there, peer_id, 1, 6) == 200

        async def total() -> int:
            async with chain.client() as client:
                return (await client.total_rewards([peer_id]))[0]

        assert asyncio.run(total()) == 11

        # the first node still knows that it was moved
        daemons[0].start().up()
        here.start()
        assert "moved to another machine" in here.status().reason
        assert here.status().account is None

        secrets = {f"here: {name}": value for name, value in key_here.items()}
        secrets |= {f"there: {name}": value for name, value in of_login(there.directory).items()}
        secrets |= {"password": PASSWORD.encode(), "passphrase": PASSPHRASE.encode()}
        pids = [p.pid for p in (here.process, there.process, daemons[0].process, daemons[1].process) if p is not None]
        sources = of_processes(pids)
        for login, daemon in zip((here, there), daemons, strict=True):
            sources[f"log of {login.directory.name}"] = login.log.encode()
            sources[f"log of the daemon of {login.directory.name}"] = daemon.log_text.encode()
            sources[f"status of {login.directory.name}"] = login.status().model_dump_json().encode()
        with there.browser() as browser:
            browser.post("/login", data={"password": PASSWORD})
            for path in ("/", "/identity", "/outbox", "/backup", "/security"):
                sources[f"page {path}"] = browser.get(path).content
        assert scan(sources, secrets) == []
        assert scan({"plant": key_here["account key"].hex().encode()}, secrets) != []
    finally:
        for daemon in daemons:
            daemon.close()

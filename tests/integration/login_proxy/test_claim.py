"""A person claims the node: waiting rewards arrive, the session survives a restart, nobody else gets in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.support.login_service import Daemon, Login, wait_until

from swarm_core.identity import PeerKey

ASYNC = {"prefer": "respond-async"}
PASSWORD = "correct horse battery"


def _reward(key: PeerKey, number: int, amount: int) -> dict[str, object]:
    return {"orgId": "local", "peerId": key.peer_id, "roundNumber": number, "stageNumber": 0, "reward": amount}


def _delivered(login: Login, total: int) -> bool:
    return any(peer.delivered_total == total == peer.chain_total for peer in login.status().peers)


def test_rewards_wait_for_the_claim_and_then_arrive(
    make_login: Callable[..., Login], make_daemon: Callable[[Path, PeerKey], Daemon], peer_keys: list[PeerKey]
) -> None:
    login = make_login().start()
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    reward = _reward(peer_keys[0], 0, 7)
    with login.api() as api:
        # the service looks for daemons a few times a second; until it has seen this one, the peer is a stranger's
        wait_until(lambda: api.post("submit-reward", json=reward, headers=ASYNC).status_code != 403, 10)
        answer = api.post("submit-reward", json=reward, headers=ASYNC)
        assert (answer.status_code, answer.json()["state"], answer.json()["hash"]) == (202, "queued", None)
        assert api.get("get-api-key-status", params={"orgId": "local"}).text == "pending"
    assert login.status().state == "unclaimed"

    with login.browser() as browser:
        assert browser.get("/").headers["location"] == "/claim"
        form = {"token": login.setup_token(), "password": PASSWORD, "password_again": PASSWORD}
        wrong = browser.post("/claim", data=form | {"token": "x" * 32})
        assert wrong.status_code == 403
        assert not login.status().claimed
        done = browser.post("/claim", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert "httponly" in done.headers["set-cookie"].lower()
        assert "samesite=strict" in done.headers["set-cookie"].lower()
        wait_until(lambda: _delivered(login, 7), 30)
        assert login.status().state == "registered"
        account = login.status().account
        page = browser.get("/")
        assert page.status_code == 200
        assert account is not None
        assert account in page.text
        assert peer_keys[0].peer_id in page.text
        assert browser.get("/live").status_code == 200

        assert login.stop() == 0
        login.start()
        assert browser.get("/").status_code == 200, "the session survives a restart"
        assert login.status().account == account

    assert "setup_token" not in login.log.rpartition("chain reachable")[2]
    with login.browser() as other:
        again = other.post("/claim", data=form)
        assert (again.status_code, again.headers["location"]) == (303, "/login")
        assert other.post("/login", data={"password": "wrong password"}).status_code == 403
        assert other.get("/live").status_code == 401
        signed_in = other.post("/login", data={"password": PASSWORD})
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
        assert other.get("/").status_code == 200
        other.post("/logout")
        assert other.get("/").headers["location"] == "/login"


def test_mode_auto_needs_nobody_and_shows_the_page_read_only(
    make_login: Callable[..., Login], make_daemon: Callable[[Path, PeerKey], Daemon], peer_keys: list[PeerKey]
) -> None:
    login = make_login(mode="auto")
    make_daemon(login.directory / "run/dht.sock", peer_keys[0])
    make_daemon(login.directory / "run/peers/1/dht.sock", peer_keys[1])
    login.start()
    with login.api() as api:
        assert api.get("get-api-key-status", params={"orgId": "local"}).text == "activated"
        for key in peer_keys:
            answer = api.post("submit-reward", json=_reward(key, 0, 3))
            assert answer.status_code == 200, answer.text
            assert answer.json()["hash"].startswith("0x")
            assert api.post("submit-reward", json=_reward(key, 0, 3)).json() == answer.json(), "idempotent"
            assert api.post("submit-reward", json=_reward(key, 0, 4)).status_code == 409
        vote = {"orgId": "local", "peerId": peer_keys[0].peer_id, "roundNumber": 0, "winners": [peer_keys[1].peer_id]}
        assert api.post("submit-winner", json=vote).status_code == 200
        assert api.post("submit-reward", json=_reward(peer_keys[0], 900, 1), headers=ASYNC).status_code == 202
        stranger = _reward(peer_keys[0], 0, 1) | {"peerId": "QmStranger"}
        assert api.post("submit-reward", json=stranger).status_code == 403
        assert api.post("submit-reward", json=_reward(peer_keys[0], 0, 3) | {"orgId": "x"}).status_code == 404
        assert api.post("submit-reward", content=b"{").status_code == 400
    # the chain's totals are read every few seconds
    read = [(3, 0), (3, 1)]
    wait_until(lambda: [(peer.chain_total, peer.wins) for peer in login.status().peers] == read)
    status = login.status()
    assert {peer.node: peer.delivered_total for peer in status.peers} == {"main": 3, "peer-1": 3}
    assert {peer.node: (peer.wins, peer.votes) for peer in status.peers} == {"main": (0, 1), "peer-1": (1, 0)}
    assert status.memory_rss < 150e6
    with login.browser() as browser:
        assert browser.get("/").status_code == 200
        assert browser.get("/claim").headers["location"] == "/"
    with httpx.Client(base_url=f"http://127.0.0.1:{login.api_port}") as nobody:
        assert nobody.post("/api/submit-reward", json={}).status_code == 401


def test_a_move_marked_on_the_command_line_stops_the_running_service(make_login: Callable[..., Login]) -> None:
    login = make_login(mode="auto").start()
    account = login.status().account
    (login.directory / "passphrase").write_text(PASSWORD)
    command = [sys.executable, "-m", "login_proxy.backup.cli", "export", str(login.directory / "saved"), "--move"]
    ended = subprocess.run(
        [*command, "--passphrase-file", str(login.directory / "passphrase")], env=login.settings(), timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert str(account) in ended.stderr
    assert PASSWORD not in ended.stderr + ended.stdout
    status = wait_until(lambda: (s := login.status()).moved and s.account is None and s, 10)
    assert "moved to another machine" in status.reason

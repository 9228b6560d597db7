"""Every page in light and dark, as pictures in build/screens; `docs/screens` holds those that are committed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from tests.e2e_login.steps import claim_with_password
from tests.support.login_service import Login, Worker, wait_until
from tests.support.statuses import node_status

from swarm_core.status import JudgedAnswer, JudgeStatus, MarketBet, MarketGame, MarketStatus

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "node": "/", "identity": "/identity", "outbox": "/outbox", "market": "/market", "judge": "/judge",
    "backup": "/backup", "settings": "/settings", "security": "/security",
}  # fmt: skip
GAMES = [
    MarketGame(
        game=7, clue="It is odd.", choices=["6", "7", "9", "12"], bets=[
            MarketBet(clue=0, choice=1, stake=300, belief=0.41, odds=1.8, state="placed"),
            MarketBet(clue=1, choice=1, stake=200, belief=0.63, odds=1.4, state="handed_over"),
        ], spent=500,
    ),
    MarketGame(
        game=6, clue="It has two digits.", choices=["8", "15"], status="revealed", answer=1, spent=400, claimable=900,
        claimed=True, payout=900, bets=[MarketBet(clue=2, choice=1, stake=400, belief=0.9, odds=2.25, state="placed")],
    ),
]  # fmt: skip
ANSWERS = [
    JudgedAnswer(round=40 + number, score=float(number % 2), at=1.0, swarm_score=0.25 + number / 16)
    for number in range(5)
]
_CONTRAST = """() => {
  const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5 && !e.closest("[disabled]")) bad.push(e.textContent.trim().slice(0, 40));
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_pictured_and_has_contrast(
    make_context: Callable[..., BrowserContext], login: Login, scheme: str
) -> None:
    directory = Path(os.fspath(ROOT / "build/screens"))
    directory.mkdir(parents=True, exist_ok=True)
    page = make_context(color_scheme=scheme, viewport={"width": 960, "height": 600}).new_page()

    def picture(name: str) -> None:
        assert page.evaluate(_CONTRAST) == [], f"{name}: less than 4.5:1 (WCAG AA)"
        path = directory / f"{name}-{scheme}.png"
        path.write_bytes(page.screenshot(full_page=True))
        assert path.stat().st_size > 5_000

    page.goto(f"{login.origin}/claim")
    picture("claim")
    claim_with_password(page, login)
    (peer,) = wait_until(lambda: [peer for peer in login.status().peers if peer.state == "registered"], 60)
    market = MarketStatus(market="53855/0xa", peer_id=peer.peer_id, playing=True, games=GAMES)
    judge = JudgeStatus(url="http://judge:8100", reachable=True, answers=ANSWERS)
    status = node_status(peer.peer_id, memory_note="", memory_steps_down=0, market=market, judge=judge)
    worker = Worker(login.directory / "run/node.sock", status)
    for name, path in PAGES.items():
        page.goto(f"{login.origin}{path}")
        picture(name)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{login.origin}/login")
    picture("login")
    worker.close()

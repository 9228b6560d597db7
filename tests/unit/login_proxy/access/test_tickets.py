"""Tickets: bound to purpose and origin, for five minutes, good for one success, and unforgeable."""

from __future__ import annotations

import pytest
from tests.support.fake_chain import FakeClock

from login_proxy.access.tickets import VALID_SECONDS, BadTicket, Tickets

ORIGIN = "http://localhost:3000"


def test_a_ticket_gives_back_what_was_offered() -> None:
    tickets = Tickets()
    issued = tickets.issue("login", ORIGIN, "0xA")
    assert tickets.check(issued.text, "login", ORIGIN) == issued
    assert len(issued.nonce) == 32
    assert tickets.issue("login", ORIGIN).nonce != issued.nonce


def test_a_ticket_is_good_for_one_success() -> None:
    tickets = Tickets()
    issued = tickets.issue("login", ORIGIN)
    tickets.check(issued.text, "login", ORIGIN)
    tickets.spend(issued)
    with pytest.raises(BadTicket, match="used before"):
        tickets.check(issued.text, "login", ORIGIN)
    with pytest.raises(BadTicket, match="used before"):
        tickets.spend(issued)


def test_a_ticket_is_for_one_purpose_and_origin() -> None:
    tickets = Tickets()
    text = tickets.issue("login", ORIGIN).text
    for purpose, origin in (("confirm", ORIGIN), ("claim", ORIGIN), ("login", "https://node.example")):
        with pytest.raises(BadTicket, match="something else"):
            tickets.check(text, purpose, origin)  # type: ignore[arg-type]


def test_a_ticket_expires_also_when_the_clock_is_set_back() -> None:
    clock = FakeClock()
    tickets = Tickets(clock)
    issued = tickets.issue("login", ORIGIN)
    for shift in (VALID_SECONDS + 1, -1.0):
        clock.now = issued.issued_at + shift
        with pytest.raises(BadTicket, match="too old"):
            tickets.check(issued.text, "login", ORIGIN)


def test_what_is_no_ticket_of_this_run_is_refused() -> None:
    tickets = Tickets()
    text = tickets.issue("login", ORIGIN).text
    head, _, tail = text.partition(".")
    for bad in (
        "",
        ".",
        text[:-2],
        head,
        f"{head}.",
        f".{tail}",
        f"x{text}",
        "ü.ü",
        "a" * 5000,
        Tickets().issue("login", ORIGIN).text,
    ):
        with pytest.raises(BadTicket):
            tickets.check(bad, "login", ORIGIN)


def test_what_was_spent_is_forgotten_when_it_has_expired_anyway() -> None:
    clock = FakeClock()
    tickets = Tickets(clock)
    for _ in range(5):
        tickets.spend(tickets.issue("login", ORIGIN))
        clock.now += VALID_SECONDS + 1
    assert len(tickets._spent) == 1

"""Wallet sign-in: the message is EIP-4361's, only its own signer passes, addresses are checked (EIP-55)."""

from __future__ import annotations

import pytest
from tests.support.authenticator import SoftWallet

from login_proxy.access.tickets import Tickets
from login_proxy.access.wallets import BadWallet, check_signature, checked_address, message_of

ORIGIN = "https://node.example:3443"
PROPER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # from EIP-55


def test_the_message_is_that_of_eip_4361() -> None:
    ticket = Tickets(lambda: 1_700_000_000.0).issue("login", ORIGIN, PROPER)
    lines = message_of(ticket, 53855).split("\n")
    assert lines[:3] == ["node.example:3443 wants you to sign in with your Ethereum account:", PROPER, ""]
    assert lines[4:] == [
        "", f"URI: {ORIGIN}", "Version: 1", "Chain ID: 53855", f"Nonce: {ticket.nonce.hex()}",
        "Issued At: 2023-11-14T22:13:20Z", "Expiration Time: 2023-11-14T22:18:20Z",
    ]  # fmt: skip


def test_only_the_account_of_the_ticket_passes() -> None:
    tickets, wallet, other = Tickets(), SoftWallet(), SoftWallet()
    ticket = tickets.issue("login", ORIGIN, wallet.address)
    message = message_of(ticket, 1)
    assert check_signature(ticket, 1, wallet.sign(message)) == wallet.address
    for text in (
        other.sign(message),
        wallet.sign(message_of(tickets.issue("login", ORIGIN, wallet.address), 1)),
        wallet.sign(message_of(tickets.issue("confirm", ORIGIN, wallet.address), 1)),
        wallet.sign(message_of(ticket, 2)),
        "0x", "", "0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "zz" * 65, wallet.sign(message)[:-2],
    ):  # fmt: skip
        with pytest.raises(BadWallet):
            check_signature(ticket, 1, text)


def test_addresses_are_checked() -> None:
    for text in (PROPER, PROPER.lower(), "0x" + PROPER[2:].upper()):
        assert checked_address(text) == PROPER
    wrong = PROPER.replace("aAeb", "AAeb")
    for text in (wrong, PROPER[:-1], PROPER + "0", PROPER[2:], "", "0x", "0x" + "g" * 40, "node.eth"):
        with pytest.raises(BadWallet):
            checked_address(text)

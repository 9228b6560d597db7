"""Wallet sign-in (EIP-4361): the server writes the whole message and recovers the signer over its own text.

Nothing of what the browser sends is parsed but an address and a signature, so there is no parser to fool. Works with
`tickets`, from which the message is made again. Accounts with a key only: contract wallets (ERC-1271) are refused.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_keys.exceptions import BadSignature
from eth_utils.address import is_hex_address, to_checksum_address
from eth_utils.exceptions import ValidationError

from login_proxy.access.tickets import VALID_SECONDS, Ticket
from login_proxy.texts.access import WALLET_STATEMENTS
from swarm_core.errors import SwarmError

_SIGNATURE_CHARS = 132  # 0x and 65 bytes


class BadWallet(SwarmError):
    """The address or the signature is not what it should be."""


def checked_address(text: str) -> str:
    """`text` as a checksummed address. Raises BadWallet when it is none or its EIP-55 checksum is wrong."""
    if not text.startswith("0x") or not is_hex_address(text):
        raise BadWallet("not an address")
    proper = str(to_checksum_address(text))
    digits = text[2:]
    if text != proper and digits not in (digits.lower(), digits.upper()):
        raise BadWallet("the checksum (EIP-55) is wrong")
    return proper


def message_of(ticket: Ticket, chain_id: int) -> str:
    """The EIP-4361 message that belongs to the ticket, whose subject is the address."""
    return (
        f"{urlsplit(ticket.origin).netloc} wants you to sign in with your Ethereum account:\n"
        f"{ticket.subject}\n"
        "\n"
        f"{WALLET_STATEMENTS[ticket.purpose]}\n"
        "\n"
        f"URI: {ticket.origin}\n"
        "Version: 1\n"
        f"Chain ID: {chain_id}\n"
        f"Nonce: {ticket.nonce.hex()}\n"
        f"Issued At: {_iso(ticket.issued_at)}\n"
        f"Expiration Time: {_iso(ticket.issued_at + VALID_SECONDS)}"
    )


def check_signature(ticket: Ticket, chain_id: int, signature: str) -> str:
    """The address that signed the ticket's message, which is the ticket's own. Raises BadWallet."""
    if len(signature) != _SIGNATURE_CHARS or not signature.startswith("0x"):
        raise BadWallet("not a signature")
    try:
        raw = bytes.fromhex(signature[2:])
        signer = Account.recover_message(encode_defunct(text=message_of(ticket, chain_id)), signature=raw)
    except (ValueError, TypeError, BadSignature, ValidationError) as error:
        raise BadWallet("the signature is malformed") from error
    if str(signer) != ticket.subject:
        raise BadWallet("signed by another account")
    return ticket.subject


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

"""Words of the identity, outbox and backup pages."""

from __future__ import annotations

from login_proxy.texts import ether as ether

CHECK_RPC = "The RPC serves the chain"
CHECK_RPC_OK = "chain {chain_id}, block {block}"
CHECK_SLOW = "The RPC did not answer in time."
CHECK_CONTRACT = "The coordinator is there"
CHECK_REGISTER = "This node's peer can be registered"
CHECK_REGISTERED = "registered under this account"
CHECK_WOULD_REGISTER = "a simulated registration succeeds"
CHECK_FOREIGN = "registered under another account ({owner})"
CHECK_NO_FUNDS = "cannot be simulated without gas money"
CHECK_GAS = "The account can pay for gas"
CHECK_GAS_FREE = "gas is free on this chain"
CHECK_GAS_DETAIL = (
    "holds {balance} ETH, the next transaction needs up to {needed} ETH; enough for about {reports} reports"
)

KEY_BAD = "That is not a private key: 64 hexadecimal digits."
BACKUP_BUSY = "Another backup is being made or opened. Try again in a second."
BACKUP_NOTHING = "There is no identity yet."
BACKUP_MISMATCH = "The two passphrases differ."
RESTORE_EXPIRED = "This restore has expired. Upload the backup again."

PAGE = {
    "backup_banner": (
        "This identity has no complete backup yet: a broken disk would take its peers and its account with it."
    ),
    "backup_banner_link": "Make a backup",
    "moved_banner": "This identity was moved to another machine. Nothing is signed here any more: stop this node.",
    "identity_lead": (
        "A peer counts for the account that registered it first. This account was made on this node: it is a new one, "
        "not the account of an earlier installation, unless you import that one's key."
    ),
    "fund_title": "Gas money",
    "fund": "Send at least {missing} ETH on chain {chain_id} to this account:",
    "balance": "Balance",
    "eth": "ETH",
    "preflight": "Is everything ready?",
    "check_ok": "yes",
    "check_bad": "no",
    "check_unknown": "unknown",
    "rpcs": "RPC addresses",
    "rpcs_hint": "When one fails, the next one is used. The first one that works and is not behind is preferred.",
    "rpc": "Address",
    "block": "Block",
    "market": "Prediction market",
    "none": "none",
    "import_title": "Use another account",
    "import_lead": (
        "Import the private key of an account that you own. The present account is kept in a folder beside it. Peers "
        "that the present account registered stay registered under that one."
    ),
    "private_key": "Private key, 64 hexadecimal digits",
    "import_button": "Import this key",
    "totals": "Local and on-chain totals",
    "totals_hint": "Earned is everything the workers handed over; what was delivered must equal what the chain shows.",
    "totals_equal": "equal",
    "totals_differ": "differ",
    "filter": "Show",
    "all": "all",
    "tries": "Tries",
    "age": "Since",
    "outbox_none": "No submission is in this state.",
    "backup_lead": (
        "A backup holds the keys of this node's peer and of its extra peers, and its account, encrypted under a "
        "passphrase. Keep both apart. "
        "Whoever has the file and the passphrase owns the account."
    ),
    "backup_last": "Last backup of this identity",
    "backup_never": "never",
    "backup_title": "Download a backup",
    "passphrase": "Passphrase, 10 characters or more",
    "passphrase_again": "Passphrase once more",
    "backup_button": "Download the backup",
    "restore_title": "Restore a backup",
    "restore_lead": (
        "Takes a backup, or a bare swarm.pem in base64, which has no account. The present identity is kept in a folder "
        "beside the new one. Never run one identity on two machines at once."
    ),
    "restore_file": "Backup file",
    "restore_text": "or its text",
    "restore_too_long": "This file is longer than any backup.",
    "restore_passphrase": "Passphrase of the backup (none for a swarm.pem)",
    "restore_button": "Look at this backup",
    "restore_confirm": "Restore this identity?",
    "restore_new": "In the backup",
    "restore_present": "Will be replaced",
    "restore_chain": "Made for chain",
    "restore_do": "Restore it",
    "restore_cancel": "Cancel",
    "restore_unchanged": "stays as it is",
    "restore_done": "The identity was restored. The DHT daemons start again with their keys within a few seconds.",
    "restore_same_place": "the extra peer of that number",
    "peer": "Peer",
    "extra_peer": "Extra peer",
    "extra_peers": "Extra peers",
    "move_title": "Move to another machine",
    "move_lead": (
        "Download a backup, restore it there, then mark this node as moved: it will sign nothing any more, so that two "
        "machines never compete with one identity."
    ),
    "move_button": "Mark this node as moved",
    "move_back": "This node was not moved after all",
}

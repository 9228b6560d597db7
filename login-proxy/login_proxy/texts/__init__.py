"""Every sentence the page shows, in one place, so that translations can follow. Works with the templates and states."""

from __future__ import annotations

REMEDY_NONE = "Nothing to do."

REASON_UNCLAIMED = "Nobody has claimed this node yet. It trains; its rewards wait on disk."
REMEDY_UNCLAIMED = "Open the page and paste the setup token from the log of login-proxy."
REASON_CLAIMED = "The node is claimed, its account is being made."
REMEDY_CLAIMED = "Wait a moment; if this stays, look at the log of login-proxy."
REASON_NO_PEER = "The account is ready, but no DHT daemon of this host has been seen."
REMEDY_NO_PEER = "Look whether the dht service runs."
REASON_CHAIN_UNKNOWN = "The chain has not answered yet."
REASON_REGISTERING = "The peer is being registered on chain; rewards follow as soon as it is."
REMEDY_REGISTERING = "Wait a moment; if this stays, look whether the dht service and the chain run."
REASON_OWNED_BY_OTHER = "This peer is registered on chain under another account ({owner}). Its submissions are held."
REMEDY_OWNED_BY_OTHER = "Restore the backup of that account, or start the peer with a key of its own."
REMEDY_CHAIN_UNREACHABLE = "Look whether the chain runs and SWARM_RPC_URL is right. Nothing is lost meanwhile."
REASON_NO_GAS = (
    "The account holds {balance} ETH; its next transaction needs {needed} ETH of gas. Everything waits on disk."
)
REMEDY_NO_GAS = "Send at least {missing} ETH on chain {chain_id} to {account}."
REASON_MOVED = "This identity was moved to another machine. Nothing is signed here any more."
REMEDY_MOVED = "Stop this node, or restore an identity on the backup page."
REMEDY_WRONG_CHAIN = "Correct SWARM_RPC_URL, SWARM_CHAIN_ID or SWARM_COORDINATOR. Submissions are held until then."

STATES = {
    "unclaimed": ("Unclaimed", "warn"),
    "claimed": ("Claimed", "warn"),
    "account_ready": ("Account ready", "warn"),
    "registering": ("Registering", "warn"),
    "registered": ("Registered", "good"),
    "owned_by_other": ("Owned by another account", "bad"),
    "chain_unreachable": ("Chain unreachable", "bad"),
    "no_gas": ("No gas", "bad"),
    "wrong_chain": ("Wrong chain", "bad"),
}

DHT_STATES = {
    "starting": ("Starting", "warn", "The DHT daemon is starting."),
    "ready": ("Connected", "good", ""),
    "isolated": (
        "Isolated",
        "bad",
        "This peer reaches no other peer: it trains alone, on its own rollouts only. It joins by itself as soon as a "
        "bootnode answers.",
    ),
    "rebuilding": ("Rebuilding", "warn", "The DHT daemon is rebuilding its connection."),
    "clock_skew": ("Clock is wrong", "bad", "The clock of this host differs from the swarm's: set it (NTP)."),
    "silent": ("Not answering", "bad", "The DHT daemon does not answer: look at the log of the dht service."),
}
WORKER_SILENT = "The worker does not answer: it is starting, or look at the log of the node service."

CLUE = "game {game}, clue {clue}"
GAME = "game {game}"
WEI = 10**18


def ether(wei: int) -> str:
    """An amount of wei in ETH, exact, without trailing zeros."""
    sign, whole, rest = "-" if wei < 0 else "", abs(wei) // WEI, abs(wei) % WEI
    decimals = f"{rest:018d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


KINDS = {"register": "Registration", "reward": "Rewards", "winner": "Votes", "guess": "Bets", "claim": "Winnings"}
OUTBOX_STATES = {
    "queued": "Waiting",
    "sent": "Sent",
    "delivered": "On chain",
    "rejected": "Rejected",
    "parked": "Held",
}

# why an intent waits or was refused: the contract's error or the outbox's own reason
REASONS = {
    "InvalidRoundNumber": "round not begun, or too old",
    "InvalidStageNumber": "stage not begun",
    "InvalidVote": "a winner is not registered, or the reward is over the limit",
    "InvalidVoterPeerId": "the peer is not registered under this account",
    "RewardAlreadySubmitted": "reported before",
    "WinnerAlreadyVoted": "voted before",
    "PeerIdAlreadyRegistered": "registered before",
    "owned_by_other": "the peer belongs to another account",
    "wrong_chain": "the chain is not the right one",
    "insufficient_funds": "the account cannot pay for gas",
    "GameNotOpen": "the game takes no bets any more",
    "InvalidRound": "the clue is not the current one",
    "NotEnoughBetTokens": "the peer has fewer bet tokens",
    "NothingToClaim": "the peer won nothing in this game",
    "AnswerNotRevealed": "the answer is not revealed yet",
    "signed by another account": "it was signed by another account and may still count there",
}

PHASES = {
    "starting": "starting",
    "waiting": "waiting for the next round",
    "generate": "generating answers",
    "score": "scoring answers",
    "exchange": "exchanging rollouts",
    "train": "training",
    "evaluate": "evaluating",
    "checkpoint": "saving a checkpoint",
    "submit": "handing over rewards",
    "stopped": "stopped",
}

PAGE = {
    "product": "RL Swarm node",
    "account": "Account",
    "no_account": "none yet",
    "chain": "Chain",
    "contract": "Contract",
    "counting": "This node counts",
    "not_counting": "This node does not count yet",
    "peers": "Peers",
    "no_peers": "No peer of this host has been seen yet.",
    "phase": "Phase",
    "round": "Round",
    "chain_round": "Chain round",
    "rounds_done": "Rounds done",
    "model": "Model",
    "reward_own": "Mean own reward",
    "external": "Groups of others used",
    "rewards_local": "Rewards earned",
    "rewards_delivered": "Delivered",
    "rewards_chain": "On chain",
    "rewards_differ": "The chain shows another sum than was delivered. It may need a moment; if it stays, tell us.",
    "unknown": "unknown",
    "wins": "Wins",
    "votes": "Votes",
    "isolated": "isolated, no other peer is reached. Training goes on alone.",
    "dht_peers": "Peers known",
    "outbox": "Outbox",
    "outbox_lead": "What this node tells the chain. Everything waiting here is on disk and survives restarts.",
    "outbox_empty": "Nothing was submitted yet.",
    "kind": "Kind",
    "recent": "Last submissions",
    "state": "State",
    "reason": "Reason",
    "transaction": "Transaction",
    "last_error": "Last error",
    "memory": "Memory",
    "since": "for",
    "footer": "Served by this node only: no script, font or picture comes from elsewhere.",
}

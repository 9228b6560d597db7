"""Words of the pages about market and judge."""

from __future__ import annotations

GAME_STATES = {
    "open": ("bets are taken", "warn"),
    "closed": ("waiting for the answer", "warn"),
    "revealed": ("over", "good"),
    "refundable": ("bets given back", "warn"),
}
BET_STATES = {
    "decided": ("decided", "warn"),
    "handed_over": ("in the outbox", "warn"),
    "placed": ("on chain", "good"),
    "missed": ("too late", "bad"),
    "refused": ("refused", "bad"),
}

PAGE = {
    "nav_market": "Market",
    "nav_judge": "Judge",
    "market_lead": (
        "Games of the swarm's prediction market: clue by clue the model bets on the answer to a hidden question. "
        "Bet tokens are points; they are worth nothing outside a game."
    ),
    "market_off": "This node does not bet. Set SWARM_PLAY_MARKET=1 or join the market on the settings page.",
    "market_none": "No bet yet.",
    "market_profit": "profit",
    "market_unclaimed": "unclaimed",
    "market_games": "games played",
    "game": "Game",
    "clue": "Clue",
    "choice": "Choice",
    "stake": "Stake",
    "belief": "Belief",
    "odds": "Odds",
    "outcome": "Outcome",
    "paid": "Paid",
    "right_answer": "answer",
    "won": "right",
    "lost": "wrong",
    "claimed_word": "claimed",
    "claimable_word": "being claimed",
    "judge_lead": (
        "The swarm's judge asks every node questions that nobody trains on. Here is what it gave this node, beside the "
        "mean of the swarm in the same round."
    ),
    "judge_none": "No answer yet.",
    "judge_away": "The judge does not answer. Training goes on; questions of this time are not made up for.",
    "judge_off": "No judge is configured (SWARM_JUDGE_URL).",
    "judge_refused": "The judge refuses",
    "score": "Score",
    "swarm_score": "Swarm",
    "mean_score": "mean score",
    "answers": "answers",
    "above_swarm": "above the swarm",
}

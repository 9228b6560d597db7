"""Words of the settings page."""

from __future__ import annotations

MODEL_BAD = "A model is a Hugging Face name such as Qwen/Qwen3-0.6B, or an absolute path inside the node's container."
TOKEN_MISSING = "Pushing to the Hub needs a token that may write."  # noqa: S105 - a sentence
TOKEN_BAD = "The Hub refuses this token: {reason}. Make one with write access and try again."  # noqa: S105
HUB_SILENT = "The token could not be checked: {reason}. Nothing was changed; try again later."
NOT_STORED = "The answers could not be written to disk ({reason}). Nothing was changed."
SAVED = "Saved. The workers follow at the end of the round they are in."
BY_ENVIRONMENT = "{variable} is set in .env and decides; remove it there to choose here."
NEEDS = "needs about {need} GB"
TOO_LITTLE = "needs about {need} GB, this node has {have} GB"
RUNS_NOW = "Trains now: {model} on {device}."

PAGE = {
    "settings_lead": "Three questions. An answer takes effect when the round under way has ended; no round is lost.",
    "q_model": "Which model do you train?",
    "model_auto": "auto: by the memory of the GPU; without a GPU the embedded one",
    "model_embedded": "embedded: 0.85 million parameters, comes with the image, runs everywhere",
    "model_default": "default: embedded on a CPU, auto on a GPU",
    "model_own": "another one",
    "model_own_label": "Hugging Face name or path",
    "memory_kind": "Memory is that of the GPU, or RAM without one: an estimate for float32 with Adam.",
    "memory_unknown": "The worker does not answer, so it is not known what fits here.",
    "q_hub": "Push the trained model to the Hugging Face Hub?",
    "hub_no": "no",
    "hub_yes": "yes, every 50 rounds, in the background",
    "hub_token": "Hub token with write access",
    "hub_token_kept": "A token is stored. Leave this empty to keep it.",
    "hub_token_hint": "It is checked, then kept in a file that only the workers read. Answering no deletes it.",
    "q_market": "Join the prediction market?",
    "market_no": "no",
    "market_yes": "yes: the node bets its market tokens on the judge's games",
    "save": "Save",
}

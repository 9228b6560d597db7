"""A genuine upstream peer: `HivemindBackend` of gensyn-genrl 0.1.11 over `hivemind.DHT`, told its rounds on stdin.

Arguments: the multiaddr to join, questions a round, completions a question. Answers one JSON line for the start and one
for each "go": who was heard, and the SHA-256 of each decoded payload as upstream's own encoder writes it.
Run with build/genrl in PYTHONPATH.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import hivemind
from hivemind.utils.timed_storage import get_dht_time

hivemind.get_dht_time = get_dht_time  # genrl 0.1.11 takes it from the top level, where hivemind 1.1.12 has it no more

import reasoning_gym  # noqa: E402
from genrl.communication.communication import Payload  # type: ignore[import-not-found]  # noqa: E402
from genrl.communication.hivemind.hivemind_backend import (  # type: ignore[import-not-found]  # noqa: E402
    HivemindBackend,
)
from genrl.serialization.game_tree import to_bytes  # type: ignore[import-not-found]  # noqa: E402
from genrl.state import WorldState  # type: ignore[import-not-found]  # noqa: E402
from reasoning_gym.composite import DatasetSpec  # noqa: E402

SEED = 42  # of upstream's public swarm, as the order of its datasets
DATASETS = (
    "arc_1d", "basic_arithmetic", "base_conversion", "bf", "binary_matrix", "calendar_arithmetic",
    "decimal_arithmetic", "fraction_simplification", "propositional_logic",
)  # fmt: skip


OUT, sys.stdout = sys.stdout, sys.stderr  # the bf dataset prints


def say(**fields: Any) -> None:
    """One line for the parent."""
    print(json.dumps(fields), flush=True, file=OUT)


def rollouts(dataset: Any, number: int, first: int, questions: int, completions: int) -> dict[int, list[Any]]:
    """What a peer of upstream's rgym swarm shares in round `number`."""
    shared: dict[int, list[Any]] = {}
    for offset in range(questions):
        # lists for tuples, as upstream's peers write them: its encoder knows no tuples
        entry = json.loads(json.dumps(dataset[first + number * questions + offset], default=str))
        identity = int(hashlib.md5(entry["question"].encode(), usedforsecurity=False).hexdigest(), 16)
        state = WorldState(
            environment_states={key: entry[key] for key in ("question", "answer", "metadata")},
            opponent_states=None,
            personal_states=None,
        )
        texts = [f"<answer>{entry['answer'] if turn else number}</answer>" for turn in range(completions)]
        shared[identity] = [Payload(world_state=state, actions=texts, metadata=None)]
    return shared


def main() -> None:
    """Join, then gather once for each line on stdin."""
    address, first, questions, completions = sys.argv[1], *map(int, sys.argv[2:5])
    dataset = reasoning_gym.create_dataset(
        "composite", seed=SEED, size=10_000, datasets=[DatasetSpec(name=name, weight=1, config={}) for name in DATASETS]
    )
    backend = HivemindBackend(initial_peers=[address])
    say(peer=backend.get_id())
    for number, _ in enumerate(sys.stdin):
        heard = backend.all_gather_object(rollouts(dataset, number, first, questions, completions))
        say(heard={peer: hashlib.sha256(to_bytes(value)).hexdigest() for peer, value in heard.items()})


if __name__ == "__main__":
    main()

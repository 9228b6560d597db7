"""Two nodes behind NAT and public ones in one swarm: in how many rounds does each use which other's groups?

    python benchmarks/nat.py [--json] [--rounds 30]

Real daemons in network namespaces: two public peers and a bootnode on one segment, two homes behind routers that
masquerade (iptables) and let nothing in. In every round each peer publishes two groups and collects; the groups used
are J = 4 drawn uniformly from those of this round. Needs root, iproute2 and iptables. Exit code 1
unless the two homes use each other's groups in at least 80 % of the rounds, and home and public ones in every round
in which there was a draw left to decide.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.daemons import Daemon, Daemons, daemons_below, group
from tests.support.namespaces import network

WANTED, GROUPS, EACH = 4, 2, 0.80
_PORT = "38751"
# the public ones share one segment here, which is one /24: the limit on peers of one would leave some out of each round
_ONE_SEGMENT = {"SWARM_MAX_PER_SUBNET": "8"}
_JOIN_SECONDS = 120.0


@dataclass
class Tally:
    """By (reader, author): rounds in which the author's fresh groups were collected, and used."""

    rounds: int = 0
    collected: dict[tuple[str, str], int] = field(default_factory=dict)
    used: dict[tuple[str, str], int] = field(default_factory=dict)


def play(peers: dict[str, Daemon], number: int, tally: Tally) -> None:
    """One round of everybody."""
    names = {daemon.status()["peer_id"]: name for name, daemon in peers.items()}
    for place, daemon in enumerate(peers.values()):
        daemon.publish(number, *(group(number * 100 + place * 10 + each) for each in range(GROUPS)))
    time.sleep(1.1)  # a round's other work; a guest leaves a batch once a second at most
    with ThreadPoolExecutor(len(peers)) as pool:
        answers = dict(
            zip(peers, pool.map(lambda daemon: daemon.collect(want=WANTED * GROUPS), peers.values()), strict=True)
        )
    tally.rounds += 1
    for reader, (batches, _) in answers.items():
        fresh = [
            (names[peer], found) for peer, batch in batches.items() if batch.round == number for found in batch.groups
        ]
        drawn = random.Random(f"{reader}/{number}").sample(fresh, min(WANTED, len(fresh)))
        for into, entries in ((tally.collected, fresh), (tally.used, drawn)):
            for author in {author for author, _ in entries}:
                into[reader, author] = into.get((reader, author), 0) + 1


def measure(made: Daemons, rounds: int) -> dict[str, Any]:
    """The report."""
    with network() as net:
        peers: dict[str, Daemon] = {}
        boot_space, boot_host = net.public("boot")
        bootnode = made.start("boot", namespace=boot_space, host=boot_host, port=int(_PORT), **_ONE_SEGMENT).up()
        for name in ("public1", "public2"):
            space, host = net.public(name)
            place = {"namespace": space, "host": host, "port": int(_PORT)}
            peers[name] = made.start(name, bootnode.address, **place, **_ONE_SEGMENT)
        for name in ("home1", "home2"):
            space, host = net.home(name)
            place = {"namespace": space, "host": host, "port": int(_PORT)}
            peers[name] = made.start(name, bootnode.address, **place, **_ONE_SEGMENT)
        for name, daemon in peers.items():
            wanted = "private" if name.startswith("home") else "public"
            daemon.wait(lambda status, wanted=wanted: status["reachability"] == wanted, _JOIN_SECONDS)
            daemon.wait(lambda status: status["state"] == "ready", _JOIN_SECONDS)
        for number in range(3):  # guests become known by the answers of their hosts
            play(peers, number, Tally())
        tally = Tally()
        for number in range(10, 10 + rounds):
            play(peers, number, tally)
        statuses = {name: daemon.status() for name, daemon in peers.items()}
        made.close()

    def share(counts: dict[tuple[str, str], int]) -> dict[str, float]:
        pairs = [(reader, author) for reader in peers for author in peers if reader != author]
        return {f"{reader} of {author}": round(counts.get((reader, author), 0) / rounds, 3) for reader, author in pairs}

    collected, used = share(tally.collected), share(tally.used)
    homes = [used["home1 of home2"], used["home2 of home1"]]
    mixed = [value for pair, value in collected.items() if pair.count("home") == 1]
    return {
        "rounds": rounds,
        "collected": collected,
        "used": used,
        "homes_use_each_other": min(homes),
        "home_and_public_collect": min(mixed),
        "reachability": {name: status["reachability"] for name, status in statuses.items()},
        "deposits": {name: status["deposits"] for name, status in statuses.items()},
        "ok": min(homes) >= EACH and min(mixed) >= 0.99,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # so that namespaces and mounts are removed
    with tempfile.TemporaryDirectory() as directory, daemons_below(Path(directory)) as made:
        report = measure(made, options.rounds)
    print(json.dumps(report) if options.json else json.dumps(report, indent=2))
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()

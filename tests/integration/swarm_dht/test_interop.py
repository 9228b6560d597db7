"""Two genuine genrl 0.1.11 peers and two of our daemons: each decodes every payload of the others, byte for byte.

`make interop` does the same for 20 rounds.
"""

from __future__ import annotations

from pathlib import Path

from tests.support import interop

_ROUNDS = 4


def test_each_side_decodes_every_payload_of_the_other(tmp_path: Path) -> None:
    report = interop.run(tmp_path, _ROUNDS)
    assert report.missing == []
    assert report.decoded == _ROUNDS * (2 * 2 + 2 * 3)
    assert report.verified > 0
    assert report.unverified == 0, "a question of upstream's default swarm must be made again from dataset and index"
    for compat in report.compat:
        assert compat["counts"]["signed"] >= _ROUNDS
        assert compat["counts"]["unsigned"] >= 2 * _ROUNDS
        assert compat["refused"] == {}
        assert not compat["stopped"]
    for line in ("rlswarm_dht_compat_stopped 0.0", 'rlswarm_dht_compat_records_total{result="signed"}'):
        assert line in report.metrics

"""Some thousand mutated inputs through every decoder of strangers' bytes; `make fuzz` does a million."""

from __future__ import annotations

from tests.support.fuzz import DECODERS, run, seeds

from swarm_core.errors import RecordError


def test_only_refusals_come_out_and_nothing_large_is_allocated() -> None:
    outcome = run(4000, seed=7)
    assert sum(outcome.refused.values()) > 3000
    assert set(outcome.peaks) == set(DECODERS)
    for name, peak in outcome.peaks.items():
        assert peak <= 2 * max(DECODERS[name][1], 64 * 1024), name


def test_the_mutations_start_from_what_is_valid() -> None:
    accepted = set()
    for name, (decoder, _) in DECODERS.items():
        for data in seeds():
            try:
                decoder(data)
            except RecordError:
                continue
            accepted.add(name)
    assert accepted == set(DECODERS)

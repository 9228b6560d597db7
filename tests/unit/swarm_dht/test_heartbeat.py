"""The heartbeat tells a jump of the wall clock from a slow loop, and a standing process from both."""

from __future__ import annotations

from swarm_dht.heartbeat import Heartbeat


class Clocks:
    """A wall clock and a steady one, moved by hand."""

    def __init__(self) -> None:
        self.wall = 1_795_000_000.0
        self.steady = 50.0
        self.jumps = 0

    def make(self) -> Heartbeat:
        return Heartbeat(self.jumped, lambda: self.wall, lambda: self.steady)

    def jumped(self) -> None:
        self.jumps += 1

    def pass_(self, steady: float, wall: float) -> None:
        self.steady += steady
        self.wall += wall


def test_a_steady_clock_is_no_event() -> None:
    clocks = Clocks()
    heart = clocks.make()
    for _ in range(100):
        clocks.pass_(1.01, 1.02)
        heart.beat()
    assert (heart.jumps, clocks.jumps) == (0, 0)
    assert 0.0 < heart.worst_lag < 0.1


def test_jumps_in_both_directions_are_told_once_each() -> None:
    clocks = Clocks()
    heart = clocks.make()
    for jump in (3600.0, -3600.0, 2.5):
        clocks.pass_(1.0, 1.0 + jump)
        heart.beat()
        assert abs(heart.last_jump - jump) < 1e-3
        clocks.pass_(1.0, 1.0)
        heart.beat()
    assert (heart.jumps, clocks.jumps) == (3, 3)


def test_a_late_loop_is_lag_and_no_jump() -> None:
    clocks = Clocks()
    heart = clocks.make()
    clocks.pass_(6.0, 6.0)
    heart.beat()
    assert (heart.lag, heart.jumps) == (5.0, 0)
    clocks.pass_(1.0, 1.0)
    heart.beat()
    assert (heart.lag, heart.worst_lag) == (0.0, 5.0)

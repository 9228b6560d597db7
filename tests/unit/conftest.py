"""Property tests of the unit tier: the same examples in every run, and no time limit on a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("units", deadline=None, derandomize=True, database=None)
settings.load_profile("units")

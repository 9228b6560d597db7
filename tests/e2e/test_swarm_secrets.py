"""No secret of the stack stands in anything that the tests before this one made it produce.

Goes on with the stack of `test_swarm_outages.py` and ends it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.secrets import find_secrets, secrets_of, sources_of
from tests.e2e.stack import Stack
from tests.support.secret_scan import Finding, scan


@pytest.fixture(scope="module", autouse=True)
def _last(auto: Stack) -> Iterator[None]:
    yield
    auto.down()


def test_no_secret_stands_in_what_the_run_produced(auto: Stack) -> None:
    secrets = secrets_of(auto)
    assert {name.partition(":")[0] for name in secrets} >= {"login-proxy", "peer", "bootnode", "account key"}
    assert find_secrets(auto) == []
    # the search itself finds what is there
    sources = sources_of(auto)
    assert len(sources["log of " + auto.container("login-proxy").name]) > 100
    planted = {"plant": b"x" + secrets["account key"].hex().upper().encode()}
    assert scan(planted, secrets) == [Finding("account key", "plant")]

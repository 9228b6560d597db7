"""The small random models of the unit tests, for the tests of two parts that agree."""

from tests.unit.swarm_node.conftest import cpu, make_model, tokenizer

__all__ = ["cpu", "make_model", "tokenizer"]

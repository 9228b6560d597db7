"""The unit tier's small random models, for what is done with their files."""

from tests.unit.swarm_node.conftest import make_model

__all__ = ["make_model"]

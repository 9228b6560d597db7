"""The outbox: what the node wants on chain, kept on disk until the chain has it exactly once."""

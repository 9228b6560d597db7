"""The public door of a host's swarm: JSON-RPC of the local chain by an allow-list, and the judge behind limits."""

"""swarm-exporter: the one Prometheus target of a node."""

"""Sharing a swarm with genuine peers of genrl 0.1.11 (`SWARM_DHT_COMPAT=genrl`)."""

"""Backup, restore and move of a node's identity: its peer keys and its account."""

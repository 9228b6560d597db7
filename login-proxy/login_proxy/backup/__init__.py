"""Backup, restore and move of a node's identity: its peer key and its account."""

"""The login service: page, sessions, keystore, worker API and the outbox that signs what the node sends to the chain."""

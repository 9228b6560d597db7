"""The login service: page, sessions, wallet, worker API, and the outbox that alone signs what the node sends."""

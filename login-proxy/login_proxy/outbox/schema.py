"""Tables of the outbox. Steps are only ever added: a volume of an older version is brought up to date at start."""

MIGRATIONS = (
    """
    CREATE TABLE intents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        target TEXT NOT NULL,
        kind TEXT NOT NULL,
        peer_id TEXT NOT NULL,
        round INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        reward INTEGER NOT NULL,
        winners TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        tries INTEGER NOT NULL DEFAULT 0,
        not_before REAL NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        tx_hash TEXT,
        block INTEGER
    ) STRICT;
    CREATE INDEX intents_by_state ON intents (target, state, id);
    CREATE INDEX intents_by_peer ON intents (target, peer_id, state);
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        intent INTEGER NOT NULL REFERENCES intents (id),
        hash TEXT NOT NULL,
        nonce INTEGER NOT NULL,
        raw BLOB NOT NULL,
        account TEXT NOT NULL,
        reverted INTEGER NOT NULL DEFAULT 0,
        signed_at REAL NOT NULL,
        UNIQUE (intent, hash)
    ) STRICT;
    CREATE TABLE peers (peer_id TEXT PRIMARY KEY, node TEXT NOT NULL, seen_at REAL NOT NULL) STRICT;
    CREATE TABLE memory (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    """,
)

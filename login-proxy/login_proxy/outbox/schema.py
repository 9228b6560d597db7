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
    # sums beside the rows: a node of some weeks has millions of intents, and they are asked for every few seconds
    """
    CREATE TABLE totals (
        target TEXT NOT NULL,
        kind TEXT NOT NULL,
        peer_id TEXT NOT NULL,
        state TEXT NOT NULL,
        intents INTEGER NOT NULL,
        reward INTEGER NOT NULL,
        PRIMARY KEY (target, kind, peer_id, state)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO totals SELECT target, kind, peer_id, state, count(*), sum(reward) FROM intents
        GROUP BY target, kind, peer_id, state;
    CREATE TRIGGER intent_added AFTER INSERT ON intents BEGIN
        INSERT INTO totals VALUES (NEW.target, NEW.kind, NEW.peer_id, NEW.state, 1, NEW.reward)
            ON CONFLICT DO UPDATE SET intents = intents + 1, reward = reward + excluded.reward;
    END;
    CREATE TRIGGER intent_moved AFTER UPDATE OF state ON intents WHEN OLD.state <> NEW.state BEGIN
        UPDATE totals SET intents = intents - 1, reward = reward - OLD.reward
            WHERE target = OLD.target AND kind = OLD.kind AND peer_id = OLD.peer_id AND state = OLD.state;
        INSERT INTO totals VALUES (NEW.target, NEW.kind, NEW.peer_id, NEW.state, 1, NEW.reward)
            ON CONFLICT DO UPDATE SET intents = intents + 1, reward = reward + excluded.reward;
    END;
    """,
    # bets and claims; what a transaction offered, so that more can be offered; old intents as bits (`history`)
    """
    ALTER TABLE intents ADD COLUMN details TEXT NOT NULL DEFAULT '';
    ALTER TABLE attempts ADD COLUMN gas INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attempts ADD COLUMN max_fee INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attempts ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX bets_waiting ON intents (target, id) WHERE state = 'queued' AND kind = 'guess';
    CREATE TABLE settled (
        target TEXT NOT NULL,
        kind TEXT NOT NULL,
        peer_id TEXT NOT NULL,
        series INTEGER NOT NULL,
        block INTEGER NOT NULL,
        state TEXT NOT NULL,
        bits BLOB NOT NULL,
        PRIMARY KEY (target, kind, peer_id, series, block, state)
    ) STRICT, WITHOUT ROWID;
    """,
    # a peer whose daemon got another key: what it earned is still delivered, but it is no peer of this node any more
    "ALTER TABLE peers ADD COLUMN former INTEGER NOT NULL DEFAULT 0;",
)

"""Schema of `access.sqlite`, oldest version first; the last one is what this version works with.

Works with `access.store`, `access.audit` and `database`. A step is only ever added: what 0.1.0 wrote opens with its
owner and its sessions.
"""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE owner (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        password_hash TEXT NOT NULL,
        claimed_at REAL NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        token_hash BLOB PRIMARY KEY,
        created_at REAL NOT NULL,
        seen_at REAL NOT NULL
    ) STRICT;
    """,
    # several ways to sign in, step-up, what a session was started with, security events
    """
    CREATE TABLE methods (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('password', 'passkey', 'wallet')),
        label TEXT NOT NULL,
        secret TEXT,
        credential_id BLOB UNIQUE,
        public_key BLOB,
        sign_count INTEGER NOT NULL DEFAULT 0,
        rp_id TEXT,
        created_at REAL NOT NULL,
        used_at REAL
    ) STRICT;
    CREATE UNIQUE INDEX one_password ON methods (kind) WHERE kind = 'password';
    CREATE UNIQUE INDEX one_row_a_wallet ON methods (secret) WHERE kind = 'wallet';
    INSERT INTO methods (kind, label, secret, created_at)
        SELECT 'password', '', password_hash, claimed_at FROM owner;
    CREATE TABLE new_owner (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        user_handle BLOB NOT NULL,
        claimed_at REAL NOT NULL
    ) STRICT;
    INSERT INTO new_owner SELECT id, randomblob(32), claimed_at FROM owner;
    DROP TABLE owner;
    ALTER TABLE new_owner RENAME TO owner;
    ALTER TABLE sessions ADD COLUMN proved_at REAL NOT NULL DEFAULT 0;
    ALTER TABLE sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'password';
    ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
    ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        event TEXT NOT NULL,
        detail TEXT NOT NULL,
        address TEXT NOT NULL
    ) STRICT;
    """,
)

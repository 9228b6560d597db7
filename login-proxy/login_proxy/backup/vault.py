"""Where the identity lives on disk: reads it for a backup, replaces it in a restore, marks it as moved.

Works with `keystore` (the account), `extra_peers`, the daemon (which takes `peer/incoming.pem` and keeps the key it
had, see `swarm_dht.key_file`) and `bundle`. What a restore replaces is kept first, in a folder of its own.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from login_proxy.backup.bundle import Identity
from login_proxy.backup.extra_peers import ExtraPeers, hand_over
from login_proxy.backup.peer_ids import PeerIdMemo
from login_proxy.keystore import Keystore
from login_proxy.settings import LoginSettings
from swarm_core.errors import FatalError
from swarm_core.files import read_json, sync_directory, write_atomic, write_json
from swarm_core.identity import KeyFormatError, parse_key
from swarm_core.key_files import KEY_NAME, read_key
from swarm_core.log import get_logger

log = get_logger("identity")


@dataclass(frozen=True)
class LastBackup:
    """When which identity was last backed up; Unix seconds."""

    at: float
    peer_id: str
    account: str
    extra_peers: frozenset[str] = frozenset()


class Vault:
    """The identity below `keys_dir` and `peer_keys_dir`; notes about backups are in `state_dir`."""

    def __init__(self, keys_dir: Path, state_dir: Path, peer_keys_dir: Path, keystore: Keystore) -> None:
        self._peer_dir = keys_dir / "peer"
        self._account_dir = keys_dir / "account"
        self._moved_file = keys_dir / "account" / "moved.json"
        self._note = state_dir / "backup.json"
        self._keystore = keystore
        self.extra = ExtraPeers(peer_keys_dir)
        self._memo = PeerIdMemo()

    @classmethod
    def of(cls, settings: LoginSettings, keystore: Keystore) -> Vault:
        """The vault of an installation."""
        return cls(settings.keys_dir, settings.state_dir, settings.peer_keys_dir, keystore)

    def read(self) -> Identity:
        """The present identity, as far as there is one. Raises FatalError for damaged files."""
        account = bytes(self._keystore.load().key) if self._keystore.exists() else None
        peer = self._peer_key()
        try:
            if peer is not None:
                parse_key(peer)
        except KeyFormatError as error:
            raise FatalError(f"The peer key is unusable: {error}.", "restore it from a backup") from error
        return Identity(peer, account, self.extra.keys())

    def peer_id(self) -> str | None:
        """Id of the key on disk; None when there is none or it is damaged. Read again only when the file changed."""
        try:
            return self._memo.of(self._peer_dir / KEY_NAME, self._peer_key)
        except (OSError, KeyFormatError):
            return None

    def replace(self, identity: Identity) -> Path | None:
        """Put `identity` into the place of the present one; where the present one was kept, if there was any.

        A part that `identity` lacks stays as it is. The peer key is handed to the daemon. Raises FatalError.
        """
        try:
            kept = self._keep(identity)
            if identity.account_key is not None:
                self._keystore.store(identity.account_key)
            if identity.peer_key is not None:
                self._peer_dir.mkdir(mode=0o2770, parents=True, exist_ok=True)
                hand_over(self._peer_dir, identity.peer_key)
            self.extra.hand_over(identity.extra_keys)
            self._moved_file.unlink(missing_ok=True)
        except OSError as error:
            raise FatalError(
                f"The identity cannot be replaced ({error.strerror}: {error.filename}).", "check the keys volume"
            ) from error
        return kept

    # moved, backed up

    @property
    def moved(self) -> bool:
        """Whether this identity was handed over to another machine."""
        return self._moved_file.exists()

    def mark_moved(self, moved: bool) -> None:
        """Set or take back the mark."""
        if moved:
            write_json(self._moved_file, {"at": time.time()}, 0o600)
        else:
            self._moved_file.unlink(missing_ok=True)

    def note_backup(self, identity: Identity) -> None:
        """Remember that this identity was backed up."""
        note = {
            "at": time.time(), "peer_id": identity.peer_id or "", "account": identity.account or "",
            "extra_peers": sorted(identity.extra_peers.values()),
        }  # fmt: skip
        write_json(self._note, note, 0o600)

    def last_backup(self) -> LastBackup | None:
        """The last backup; None when there was none or its note is damaged."""
        try:
            raw = read_json(self._note, max_bytes=16 * 1024)
            if raw is None:
                return None
            extra = frozenset(str(peer) for peer in raw.get("extra_peers", ()))
            return LastBackup(float(raw["at"]), str(raw["peer_id"]), str(raw["account"]), extra)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            log.warning("the note about the last backup is damaged", error=str(error))
            return None

    def backup_missing(self, account: str | None) -> bool:
        """Whether a part of the present identity was never backed up."""
        if account is None:
            return False
        last, extra = self.last_backup(), self.extra.ids()
        if last is None or extra is None:
            return True
        return last.account != account or last.peer_id != (self.peer_id() or "") or not extra <= last.extra_peers

    # inside

    def _peer_key(self) -> bytes | None:
        try:
            return read_key(self._peer_dir / KEY_NAME)
        except OSError as error:
            raise FatalError(f"The peer key cannot be read ({error.strerror}).", "check the keys volume") from error

    def _keep(self, new: Identity) -> Path | None:
        old = {
            KEY_NAME: self._peer_key() if new.peer_key is not None else None,
            "keystore.json": self._keystore.path.read_bytes()
            if new.account_key is not None and self._keystore.exists()
            else None,
        }
        old |= {f"swarm-{slot}.pem": key for slot, key in self.extra.replaced_by(new.extra_keys).items()}
        files = {name: data for name, data in old.items() if data is not None}
        if not files:
            return None
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        directory = self._account_dir / f"replaced-{stamp}-{os.urandom(3).hex()}"
        directory.mkdir(mode=0o700)
        for name, data in files.items():
            write_atomic(directory / name, data, 0o600)
        sync_directory(self._account_dir)
        log.info("the identity that is replaced was kept", directory=directory)
        return directory

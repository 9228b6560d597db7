"""The account's key at rest: a keystore V3 file and the secret that opens it, each in a file of its own.

Works with `wallet`. The secret lives on another volume than the keystore, so that one volume alone is worth nothing;
who has both owns the account. Neither file is overwritten but by a restore or an import, which keep what they replace.
The key derivation is PBKDF2: scrypt would need more memory than the whole service may use, and the secret has 256
random bits anyway.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from login_proxy.settings import LoginSettings
from swarm_core.errors import FatalError
from swarm_core.files import LockHeld, exclusive_lock, write_atomic

_ITERATIONS = 262_144
_SECRET_BYTES = 32
_MAX_BYTES = 16_384
_RESTORE = "restore the file from a backup; do not delete it unless you give the account up"


class Keystore:
    """The account in `directory` (keystore) and `secret_file` (unlock secret).

    With `make_secret=False` the operator gives the secret: a missing file is an error, never made.
    """

    def __init__(self, directory: Path, secret_file: Path, *, make_secret: bool = True) -> None:
        self._make_secret = make_secret
        self.path = directory / "keystore.json"
        self.secret_file = secret_file
        self._lock_file = directory / ".lock"

    @classmethod
    def of(cls, settings: LoginSettings) -> Keystore:
        """The keystore that the settings name."""
        given = settings.unlock_secret_file
        return cls(settings.account_dir, given or settings.state_dir / "unlock.secret", make_secret=given is None)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the wallet: two writers would take the same nonces. Raises FatalError when another process has it."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.parent.chmod(0o700)
            held = contextlib.ExitStack()
            held.enter_context(exclusive_lock(self._lock_file))
        except OSError as error:
            raise FatalError(
                f"The wallet's directory {self.path.parent} cannot be used ({error.strerror}).", "check the keys volume"
            ) from error
        except LockHeld as error:
            raise FatalError(
                f"Another login service uses the wallet in {self.path.parent}.", "stop it: one wallet, one writer"
            ) from error
        with held:
            yield

    def exists(self) -> bool:
        """Whether an account was made."""
        return self.path.exists()

    def load(self) -> LocalAccount:
        """The account. Raises FatalError, and changes nothing, if a file is missing or damaged."""
        raw = _read(self.path)
        secret = _read(self.secret_file)
        try:
            keystore = json.loads(raw)
            account: LocalAccount = Account.from_key(Account.decrypt(keystore, secret.decode("ascii").strip()))
            stored = str(keystore["address"]).lower().removeprefix("0x")
        except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
            raise FatalError(
                f"The keystore {self.path} is damaged or {self.secret_file} does not open it; nothing was changed.",
                _RESTORE,
            ) from error
        if str(account.address).lower().removeprefix("0x") != stored:
            raise FatalError(f"The keystore {self.path} names another account than its key has.", _RESTORE)
        return account

    def create(self) -> LocalAccount:
        """Make a new account. Raises FatalError if there is one already, or if the files cannot be written."""
        account: LocalAccount = Account.create(secrets.token_hex(32))
        self._write(account, overwrite=False)
        return account

    def store(self, key: bytes) -> LocalAccount:
        """Put an imported key (32 bytes) into the place of the account; who calls keeps the old file. FatalError."""
        account: LocalAccount = Account.from_key(key)
        self._write(account, overwrite=True)
        return account

    def _write(self, account: LocalAccount, *, overwrite: bool) -> None:
        try:
            if (
                self._make_secret and not self.secret_file.exists()
            ):  # left over from a kill between the two files: it is used
                text = secrets.token_hex(_SECRET_BYTES)
                write_atomic(self.secret_file, text.encode(), 0o600, overwrite=False)
            secret = _read(self.secret_file).decode("ascii").strip()
            if len(secret) < _SECRET_BYTES:
                raise FatalError(f"The unlock secret {self.secret_file} is too short.", _RESTORE)
            keystore = Account.encrypt(account.key, secret, kdf="pbkdf2", iterations=_ITERATIONS)
            write_atomic(self.path, (json.dumps(keystore) + "\n").encode(), 0o600, overwrite=overwrite)
        except FileExistsError as error:
            raise FatalError(
                f"{error.filename2 or self.path} exists already; nothing was changed.", _RESTORE
            ) from error
        except OSError as error:
            raise FatalError(
                f"The account cannot be stored in {self.path.parent} ({error.strerror}).", "check the keys volume"
            ) from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise FatalError(f"{path} cannot be read ({error.strerror}); nothing was changed.", _RESTORE) from error
    if not data.strip() or len(data) > _MAX_BYTES:
        raise FatalError(f"{path} is empty or too long; nothing was changed.", _RESTORE)
    return data

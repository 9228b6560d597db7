"""`swarm-identity export|import|inspect`: backup, restore and a look at a backup on the command line.

Runs in the login service's container, where the keys are. Passphrases come from the terminal or a file, never from
arguments, which everybody on the host can read. `import` needs the wallet for itself: the service must be stopped.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path

from login_proxy.backup.bundle import BEGIN, MAX_TEXT_BYTES, BundleError, describe, read_text, seal
from login_proxy.backup.vault import Vault
from login_proxy.keystore import Keystore
from login_proxy.settings import LoginSettings
from login_proxy.target import read_target
from swarm_core import log as logging_setup
from swarm_core.errors import ConfigError, FatalError, SwarmError
from swarm_core.files import write_atomic
from swarm_core.log import get_logger
from swarm_core.settings import load, read_secret

log = get_logger("identity")


def main() -> None:
    """Console script."""
    options = _arguments()
    logging_setup.setup("swarm-identity")
    try:
        settings = load(LoginSettings, probe=False)
        keystore = Keystore.of(settings)
        vault = Vault.of(settings, keystore)
        if options.command == "export":
            export(settings, vault, options)
        elif options.command == "inspect":
            inspect(_text(options.file), options.passphrase_file)
        else:
            with keystore.lock():
                restore(vault, _present(keystore), _text(options.file), options.passphrase_file, force=options.yes)
    except FatalError as error:
        log.error(str(error))
        sys.exit(error.exit_code)
    except (SwarmError, OSError) as error:
        log.error(str(error))
        sys.exit(1)


def export(settings: LoginSettings, vault: Vault, options: argparse.Namespace) -> None:
    """Print the bundle; with --move the identity is marked as moved once it is out."""
    identity = vault.read()
    if identity.peer_key is None and identity.account_key is None:
        raise FatalError("There is no identity yet.", "claim the node first")
    passphrase = _passphrase(options.passphrase_file, twice=True)
    text = seal(identity, passphrase, settings.chain_id, _contract(settings))
    if options.file == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_atomic(
            Path(options.file), text.encode(), 0o644
        )  # encrypted; the container that restores it has another user
    vault.note_backup(identity)
    log.info("identity exported", peer=identity.peer_id, account=identity.account, extra_peers=len(identity.extra_keys))
    if options.move:
        vault.mark_moved(True)
        log.warning("this identity is marked as moved: the login service signs nothing any more")


def inspect(text: str, passphrase_file: str | None) -> None:
    """Print what a backup is for, as JSON; with a passphrase also whether it opens."""
    if BEGIN not in text:
        identity = read_text(text, "")
        sys.stdout.write(json.dumps({"peer_id": identity.peer_id, "account": None, "opens": True}, indent=2) + "\n")
        return
    told = asdict(describe(text))
    if passphrase_file is not None:
        identity = read_text(text, _passphrase(passphrase_file))
        told |= {
            "peer_id": identity.peer_id, "account": identity.account, "extra_peers": identity.extra_peers,
            "opens": True,
        }  # fmt: skip
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def restore(vault: Vault, account: str | None, text: str, passphrase_file: str | None, *, force: bool) -> None:
    """Put the backup's identity into the place of the present one, after showing both. `account`: the present one's."""
    identity = read_text(text, _passphrase(passphrase_file) if BEGIN in text else "")
    log.info("to be restored", peer=identity.peer_id, account=identity.account, extra_peers=len(identity.extra_keys))
    if (peer_id := vault.peer_id()) is not None or account is not None:
        log.info("to be replaced", peer=peer_id, account=account)
        if not force:
            raise FatalError("There is an identity already.", "give --yes to replace it; it is kept in a folder beside")
    kept = vault.replace(identity)
    log.info("identity restored: start the login service again", kept=kept)


def _present(keystore: Keystore) -> str | None:
    """The account that is there; a damaged one is what a restore is for."""
    if not keystore.exists():
        return None
    try:
        return str(keystore.load().address)
    except FatalError:
        return "damaged"


def _contract(settings: LoginSettings) -> str:
    try:
        return read_target(settings).contract
    except (SwarmError, ConfigError):
        return ""


def _text(name: str) -> str:
    """A file or standard input: a bundle's text, or a bare `swarm.pem`, which is binary."""
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1) if name == "-" else Path(name).read_bytes()[: MAX_TEXT_BYTES + 1]
    return data.decode() if BEGIN.encode() in data else base64.b64encode(data).decode()


def _passphrase(file: str | None, *, twice: bool = False) -> str:
    if file is not None:
        return read_secret(Path(file))
    passphrase = getpass.getpass("Passphrase: ")
    if twice and getpass.getpass("Passphrase once more: ") != passphrase:
        raise BundleError("The two passphrases differ.")
    return passphrase


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="swarm-identity", description="Backup and restore of the node's identity.")
    commands = parser.add_subparsers(dest="command", required=True)
    out = commands.add_parser("export", help="write an encrypted backup")
    out.add_argument("file", nargs="?", default="-", help="where to (default: standard output)")
    out.add_argument("--move", action="store_true", help="mark this node's identity as moved: it signs no more")
    look = commands.add_parser("inspect", help="show what a backup is for")
    look.add_argument("file", help="the backup, - for standard input")
    back = commands.add_parser("import", help="restore a backup or a bare swarm.pem")
    back.add_argument("file", help="the backup, - for standard input")
    back.add_argument("--yes", action="store_true", help="replace the identity that is there")
    for command in (out, look, back):
        command.add_argument("--passphrase-file", help="file with the passphrase; without it the terminal is asked")
    return parser.parse_args()


if __name__ == "__main__":
    main()

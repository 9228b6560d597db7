"""Words of claiming, signing in, confirming and the security page."""

from __future__ import annotations

NO_PASSKEY_ADDRESS = (
    "Passkeys do not work here: a passkey belongs to a name, and this page is open under an IP address. "
    "Use a password or a wallet, or open the page through a domain or an SSH tunnel to localhost."
)
NO_PASSKEY_CERTIFICATE = (
    "Passkeys do not work here: browsers refuse them on a page with a self-signed certificate. "
    "Use a password or a wallet, or set up a domain with Caddy."
)
NO_PASSKEY_PLAIN = "Passkeys do not work here: browsers allow them over https, or on localhost."

CLAIM_REFUSED = "That is not the current setup token. It is made anew at every start: look at the end of the log again."
TOO_SHORT = "The password needs 10 to 256 characters."
CLAIM_MISMATCH = "The two passwords differ."
CLAIM_TAKEN = "This node has an owner already."
LOGIN_WRONG = "That is not the password."
LOGIN_BUSY = "Another sign-in is being checked. Try again in a second."
NO_PASSWORD = "This node has no password: use a passkey or the wallet."  # noqa: S105 - a sentence
TOO_MANY = "Too many attempts from your address. Try again in {seconds} s; passkey and wallet are not held up by that."
BAD_FORM = "The form could not be read. Go back and try again."
BAD_TICKET = "The challenge has expired or was used before. Try again."
PASSKEY_WRONG = "This passkey is not one of this node, or it was not confirmed with a PIN or finger."
PASSKEY_KNOWN = "This passkey is registered already, or there are too many ways to sign in."
WALLET_WRONG = "The signature is not one of a wallet that may sign in here."
WALLET_ADDRESS = "That is not an Ethereum address, or its checksum (EIP-55) is wrong."
WALLET_KNOWN = "This wallet is registered already, or there are too many ways to sign in."
LAST_METHOD = "This is the only way to sign in; add another one before you remove it."
SIGN_IN_FIRST = "Sign in first."
CONFIRM_FIRST = "Confirm first that it is you."
ALREADY_CLAIMED = "This node has an owner already."
NOT_CLAIMED = "This node is not claimed yet."

METHODS = {"password": "Password", "passkey": "Passkey", "wallet": "Wallet"}
EVENTS = {
    "claimed": "Node claimed",
    "claim_refused": "Claim refused",
    "signed_in": "Signed in",
    "sign_in_refused": "Sign-in refused",
    "signed_out": "Signed out",
    "confirmed": "Confirmed",
    "confirm_refused": "Confirmation refused",
    "session_revoked": "Session ended",
    "method_added": "Way to sign in added",
    "method_removed": "Way to sign in removed",
    "method_kept": "Removal of the last way refused",
    "settings_changed": "Settings changed",
    "owner_reset": "Owner reset on the command line",
    "identity_exported": "Backup downloaded",
    "identity_imported": "Backup restored",
    "key_imported": "Account key imported",
    "submissions_changed": "Submissions held or resumed",
}

WALLET_STATEMENTS = {
    "claim": "Claim this RL Swarm node. Whoever signs this owns it.",
    "login": "Sign in to your RL Swarm node. This sends no transaction and costs nothing.",
    "confirm": "Confirm a protected action on your RL Swarm node. This sends no transaction and costs nothing.",
    "add": "Let this wallet sign in to your RL Swarm node. This sends no transaction and costs nothing.",
}

PAGE = {
    "skip": "Skip to the content",
    "navigation": "Pages",
    "nav_node": "Node",
    "nav_identity": "Identity",
    "nav_outbox": "Outbox",
    "nav_backup": "Backup",
    "nav_settings": "Settings",
    "nav_security": "Security",
    "fingerprint": "Certificate (SHA-256)",
    "fingerprint_hint": (
        "Self-signed: compare this with the fingerprint that your browser shows and with the log of login-proxy. "
        "Only if all three agree do you talk to your node."
    ),
    "claim_title": "Claim this node",
    "claim_lead": (
        "The node already trains and keeps its rewards on disk. Claim it to give it an account, so that they count."
    ),
    "claim_how": "The setup token stands in the log of the login service. Show it with",
    "claim_command": "docker compose logs login-proxy",
    "claim_method": "Then choose how you will sign in. You can add more ways later.",
    "setup_token": "Setup token",
    "password": "Password",
    "password_new": "New password, 10 characters or more",
    "password_again": "New password once more",
    "claim_button": "Claim with this password",
    "claim_passkey": "Claim with a passkey",
    "claim_wallet": "Claim with a wallet",
    "login_title": "Sign in",
    "login_button": "Sign in",
    "login_passkey": "Sign in with a passkey",
    "login_wallet": "Sign in with a wallet",
    "logout_button": "Sign out",
    "or": "or",
    "no_script": "Passkey and wallet need JavaScript; the password does not.",
    "wallet_missing": "No wallet was found in this browser.",
    "failed": "That did not work. Try again.",
    "confirm_title": "Confirm that it is you",
    "confirm_lead": "What you are about to do is protected. Prove once more who you are; that holds for five minutes.",
    "confirm_button": "Confirm with the password",
    "confirm_passkey": "Confirm with a passkey",
    "confirm_wallet": "Confirm with a wallet",
    "read_only": "Read only",
    "read_only_hint": "SWARM_LOGIN=auto: this page can be read without signing in.",
    "methods": "Ways to sign in",
    "methods_hint": (
        "Keep at least two: a passkey works only under the name that it was made for. If every way is lost, run "
        "`docker compose exec login-proxy login-proxy reset-owner` on the host."
    ),
    "method": "Way",
    "method_name": "Name",
    "method_for": "For",
    "added": "Added",
    "last_used": "Last used",
    "never": "never",
    "remove": "Remove",
    "add_passkey": "Add a passkey",
    "add_wallet": "Add a wallet",
    "passkey_label": "Name of the new passkey",
    "set_password": "Set a password",
    "change_password": "Change the password",
    "set_password_button": "Save the password",
    "sessions": "Sessions",
    "sessions_hint": "Sessions last 60 days, 7 days without use. Restarts do not end them.",
    "session_this": "this one",
    "browser": "Browser",
    "address": "Address",
    "signed_in_with": "Signed in with",
    "started": "Started",
    "end_session": "End",
    "end_others": "End all other sessions",
    "audit": "Security events",
    "audit_hint": "The last 50 of what concerned the safety of this node.",
    "audit_empty": "Nothing yet.",
    "when": "When",
    "event": "Event",
    "detail": "Detail",
    "protected": "Changes here need a fresh confirmation.",
}

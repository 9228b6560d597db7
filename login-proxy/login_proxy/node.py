"""The login service as one object: access, account, peers, outbox. Routes and listeners are built around it.

Works with everything in this package; `app` makes it. It owns the one rule that joins the parts: an account is made
when the node is claimed, or at start in mode `auto`, and from then on the writer delivers for it.
"""

from __future__ import annotations

import asyncio
import time
import uuid

from login_proxy import identity_state
from login_proxy.access.audit import Audit
from login_proxy.access.limits import Limits
from login_proxy.access.methods import NewMethod
from login_proxy.access.passwords import Passwords
from login_proxy.access.sessions import Sessions
from login_proxy.access.setup_token import SetupToken
from login_proxy.access.store import AccessStore
from login_proxy.access.tickets import Tickets
from login_proxy.backup.bundle import Identity
from login_proxy.backup.vault import Vault
from login_proxy.chain_totals import ChainTotals
from login_proxy.choices import ChoiceStore
from login_proxy.drop_in import write_user_data
from login_proxy.keystore import Keystore
from login_proxy.node_chain import NodeChain
from login_proxy.outbox.intents import Kind, State
from login_proxy.outbox.store import OutboxStore
from login_proxy.outbox.writer import Writer
from login_proxy.peers import Peers
from login_proxy.settings import LoginSettings
from login_proxy.wallet import Wallet
from swarm_core import __version__
from swarm_core.log import get_logger
from swarm_core.names import peer_name
from swarm_core.resident import resident_bytes
from swarm_core.status import LoginStatus, PeerAccount

log = get_logger("login")


class LoginNode:
    """State and actions of the service; every field is made once, at start."""

    def __init__(self, settings: LoginSettings, store: OutboxStore, access: AccessStore, client: NodeChain) -> None:
        self.settings = settings
        self.store = store
        self.access = access
        self.client = client
        self.keystore = Keystore.of(settings)
        self.vault = Vault.of(settings, self.keystore)
        self.peers = Peers(settings.run_dir, settings.node_name, store)
        self.writer = Writer(settings, store, client, self.peers, settings.fee_cap)
        self.sessions = Sessions(access)
        self.audit = Audit(access)
        self.limits = Limits()
        self.tickets = Tickets()
        self.passwords = Passwords()
        self.setup_token = SetupToken(settings.state_dir / "setup-token")
        self.choices = ChoiceStore(
            settings.state_dir / "choices.json", settings.api_token_file.parent, settings.hub_url
        )
        self.totals = ChainTotals(client)
        self.wallet: Wallet | None = None
        self.fingerprint = ""  # of the own TLS certificate, while there is one
        self._instance = uuid.uuid4().hex[:12]
        self._making = asyncio.Lock()

    @property
    def claimed(self) -> bool:
        """Whether the node has an owner."""
        return self.access.claimed()

    @property
    def backup_missing(self) -> bool:
        """Whether the present identity was never backed up."""
        return self.vault.backup_missing(self.wallet.address if self.wallet is not None else None)

    async def claim(self, method: NewMethod, address: str, user_handle: bytes | None = None) -> bool:
        """Make the owner, with a first way to sign in, and the account. False when somebody was faster."""
        if not self.access.claim(method, user_handle):
            return False
        self.setup_token.void()
        self.audit.add("claimed", method.kind, address)
        await self.open_account(create=True)
        return True

    async def open_account(self, *, create: bool) -> None:
        """Load the account, or make it if `create` and there is none. Raises FatalError for damaged files."""
        async with self._making:
            if self.wallet is not None or self.vault.moved or not (create or self.keystore.exists()):
                return
            made = not self.keystore.exists()
            account = await asyncio.to_thread(self.keystore.create if made else self.keystore.load)
            await self._use(Wallet(account))
            log.info("account made" if made else "account opened", account=str(account.address))

    async def restore(self, identity: Identity) -> None:
        """Put `identity` in the place of the present one and go on with it. Raises FatalError."""
        async with self._making:
            await self.writer.retire()  # the old key signs nothing from here on
            try:
                await asyncio.to_thread(self.vault.replace, identity)
            finally:  # a replacement that failed leaves the old account, and that goes on
                if self.keystore.exists() and not self.vault.moved:
                    await self._use(Wallet(await asyncio.to_thread(self.keystore.load)))
            log.info("identity replaced", peer=identity.peer_id, account=identity.account)

    async def set_moved(self, moved: bool) -> None:
        """Mark the identity as handed over to another machine: nothing is signed any more; or take that back."""
        self.vault.mark_moved(moved)
        if moved:
            async with self._making:
                await self.writer.retire()
                self.wallet = None
            log.warning("identity marked as moved: nothing is signed here any more")
        else:
            await self.open_account(create=False)

    async def _use(self, wallet: Wallet) -> None:
        await self.writer.switch(wallet)
        self.wallet = wallet
        if self.settings.drop_in:
            write_user_data(self.settings.api_token_file.parent, wallet.address)

    def situation(self) -> identity_state.Situation:
        """What the identity states are derived from."""
        registrar = self.writer.registrar
        return identity_state.Situation(
            claimed=self.claimed,
            account=self.wallet.address if self.wallet is not None else None,
            chain_state=self.writer.chain.state,
            chain_reason=self.writer.chain.reason,
            registered=frozenset(registrar.registered) if registrar is not None else frozenset(),
            foreign=dict(registrar.foreign) if registrar is not None else {},
            short=self.writer.short,
            chain_id=self.settings.chain_id,
            moved=self.vault.moved,
        )

    async def status(self) -> LoginStatus:
        """What `login.sock` and the page show."""
        known = self.peers.known()
        totals = await self.totals.read(list(known)) if self.writer.chain.state == "ok" else {}
        situation, sums, counts = self.situation(), self.store.reward_sums(), self.store.counts()
        accounts = []
        for peer_id, node in known.items():
            identity, chain = identity_state.of_peer(situation, peer_id), totals.get(peer_id)
            of_peer = sums.get(peer_id, {})
            accounts.append(
                PeerAccount(
                    peer_id=peer_id,
                    peer_name=peer_name(peer_id),
                    node=node,
                    state=identity.state,
                    reason=identity.reason,
                    remedy=identity.remedy,
                    local_total=sum(amount for state, amount in of_peer.items() if state != State.REJECTED.value),
                    delivered_total=of_peer.get(State.DELIVERED.value, 0),
                    chain_total=chain.rewards if chain else None,
                    wins=chain.wins if chain else None,
                    votes=chain.votes if chain else None,
                )
            )
        whole, oldest = identity_state.of_service(situation, known), self.store.oldest_unfinished()
        finished = (State.DELIVERED.value, State.REJECTED.value)
        return LoginStatus(
            version=__version__, instance=self._instance, mode=self.settings.login, claimed=situation.claimed,
            state=whole.state, reason=whole.reason, remedy=whole.remedy, account=situation.account,
            chain_reachable=situation.chain_state == "ok", peers=accounts,
            pending={
                kind.value: sum(n for state, n in counts.get(kind.value, {}).items() if state not in finished)
                for kind in Kind
            },
            submissions={
                kind: {state: n for state, n in by_state.items() if state in finished}
                for kind, by_state in counts.items()
            },
            oldest_pending_seconds=time.time() - oldest if oldest is not None else 0.0,
            last_error=self.writer.last_error,
            memory_rss=resident_bytes(), backup_missing=self.backup_missing, moved=situation.moved,
        )  # fmt: skip

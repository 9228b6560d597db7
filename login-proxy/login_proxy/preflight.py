"""Is everything ready to register on this chain? The checks, one by one, for the identity page.

Works with `node_chain` and asks nothing that changes anything. Matters most on a chain of somebody else, such as the
Gensyn Testnet, where gas costs money and a wrong address would go unnoticed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from login_proxy.node_chain import NodeChain
from login_proxy.outbox.decide import same_account
from login_proxy.outbox.fees import within
from login_proxy.outbox.funds import TYPICAL_GAS
from login_proxy.texts import wallet as texts
from swarm_chain import calls
from swarm_chain.errors import ContractError, RpcRefused
from swarm_chain.rpc import Probe
from swarm_core.errors import SwarmError, Unavailable

_SECONDS = 4.0
_REPORT_GAS = 120_000  # a reward or a vote with its margin


@dataclass(frozen=True)
class Check:
    """One question and its answer; `ok` is None where it could not be asked."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Preflight:
    """All checks; the RPC addresses; what the account holds and needs (wei), None where gas is free or unknown."""

    checks: tuple[Check, ...]
    probes: tuple[Probe, ...] = ()
    balance: int | None = None
    needed: int | None = None

    @property
    def missing(self) -> int:
        """Wei to send to the account before it can register."""
        if self.balance is None or self.needed is None:
            return 0
        return max(self.needed - self.balance, 0)


async def run(client: NodeChain, account: str | None, peer_id: str | None, fee_cap: int) -> Preflight:
    """Ask everything within some seconds; what was not answered is shown as unknown."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await _run(client, account, peer_id, fee_cap)
    except TimeoutError:
        return Preflight((Check(texts.CHECK_RPC, None, texts.CHECK_SLOW),))


async def _run(client: NodeChain, account: str | None, peer_id: str | None, fee_cap: int) -> Preflight:
    probes = tuple(await client.rpc.probe())
    good = [probe for probe in probes if probe.block is not None]
    if not good:
        return Preflight((Check(texts.CHECK_RPC, False, "; ".join(probe.problem for probe in probes)),), probes)
    newest = max(probe.block or 0 for probe in good)
    checks = [Check(texts.CHECK_RPC, True, texts.CHECK_RPC_OK.format(chain_id=client.chain_id, block=newest))]
    try:
        await client.preflight()
        checks.append(Check(texts.CHECK_CONTRACT, True, client.coordinator))
    except SwarmError as error:
        checks.append(Check(texts.CHECK_CONTRACT, None if isinstance(error, Unavailable) else False, str(error)))
        return Preflight(tuple(checks), probes)
    if account is None:
        return Preflight(tuple(checks), probes)
    gas = TYPICAL_GAS
    if peer_id is not None:
        check, gas = await _registration(client, account, peer_id)
        checks.append(check)
    try:
        fees = within(await client.fees(), fee_cap)
        balance = await client.balance(account)
    except SwarmError as error:
        checks.append(Check(texts.CHECK_GAS, None, str(error)))
        return Preflight(tuple(checks), probes)
    if fees.max_fee == 0:
        checks.append(Check(texts.CHECK_GAS, True, texts.CHECK_GAS_FREE))
        return Preflight(tuple(checks), probes)
    needed = gas * fees.max_fee
    detail = texts.CHECK_GAS_DETAIL.format(
        balance=texts.ether(balance), needed=texts.ether(needed), reports=balance // (_REPORT_GAS * fees.max_fee)
    )
    checks.append(Check(texts.CHECK_GAS, balance >= needed, detail))
    return Preflight(tuple(checks), probes, balance, needed)


async def _registration(client: NodeChain, account: str, peer_id: str) -> tuple[Check, int]:
    """Whether the peer is or could be registered by the account, and the gas that the next transaction takes."""
    try:
        (owner,) = await client.owners([peer_id])
        if owner is not None:
            ours = same_account(owner, account)
            return Check(
                texts.CHECK_REGISTER, ours, texts.CHECK_REGISTERED if ours else texts.CHECK_FOREIGN.format(owner=owner)
            ), _REPORT_GAS
        await client.simulate(account, calls.register_peer(peer_id))
        gas = await client.estimate_gas(account, calls.register_peer(peer_id))
        return Check(texts.CHECK_REGISTER, True, texts.CHECK_WOULD_REGISTER), gas * 3 // 2
    except ContractError as error:
        return Check(texts.CHECK_REGISTER, False, str(error)), TYPICAL_GAS
    except RpcRefused as error:
        short = error.reason == "insufficient_funds"
        return Check(texts.CHECK_REGISTER, None, texts.CHECK_NO_FUNDS if short else str(error)), TYPICAL_GAS
    except SwarmError as error:
        return Check(texts.CHECK_REGISTER, None, str(error)), TYPICAL_GAS

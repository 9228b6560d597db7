"""The coordinator contract, read and written over JSON-RPC.

Works with `rpc` (transport), `abi` (encoding) and the deployment file. Holds no key: it sends bytes that somebody
else signed. Every call is bounded and none is repeated; the caller owns its retries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import httpx

from swarm_chain import abi
from swarm_chain.deployment import Deployment, read_deployment
from swarm_chain.errors import ContractError, RpcRefused, WrongChain, WrongContract
from swarm_chain.records import BlockInfo, Fees, Receipt, RoundInfo
from swarm_chain.rpc import Call, Rpc, fields, hex_bytes, quantity
from swarm_chain.settings import ChainSettings

Tag = Literal["latest", "pending", "safe", "finalized"]

_NO_ADDRESS = "0x" + "0" * 40
_METHOD_NOT_FOUND = -32601
_BASE_FEE_ROOM = 2  # a transaction stays valid while the base fee at most doubles


class ChainClient:
    """One coordinator on one chain.

    All methods raise Unavailable (no RPC answered in time, or no deployment file yet), WrongChain, WrongContract and
    ContractError (the contract reverted), unless they say otherwise.
    """

    def __init__(
        self, settings: ChainSettings, *, seconds: float = 5.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._deployment: Deployment | None = None
        self.rpc = Rpc(settings.rpc_urls(), settings.chain_id, seconds=seconds, transport=transport)

    @property
    def chain_id(self) -> int:
        """The configured chain id; every RPC URL is checked against it."""
        return self._settings.chain_id

    @property
    def coordinator(self) -> str:
        """Address of the coordinator, 0x and 40 lower-case digits. Raises NoDeployment or WrongChain."""
        if self._settings.coordinator is not None:
            return self._settings.coordinator
        if self._deployment is None:
            self._deployment = self._read_deployment()
        return self._deployment.coordinator.lower()

    @property
    def market(self) -> str | None:
        """Address of the prediction market, None where there is none. Raises NoDeployment or WrongChain."""
        if self._settings.market is not None:
            return self._settings.market
        if self._settings.coordinator is not None:
            return None  # the file tells of another swarm
        if self._deployment is None or not self._deployment.market:
            self._deployment = self._read_deployment()
        return self._deployment.market.lower() or None

    async def prefer_healthy(self) -> None:
        """Among several RPC URLs, go back to the first one that works and is not behind."""
        await self.rpc.prefer_healthy()

    async def preflight(self) -> None:
        """Look whether this is the right chain and a coordinator lives there; reads the deployment file again.

        Checks the chain id, the genesis hash if the deployment file tells the address, the code at the address and
        that it answers like a coordinator.
        """
        if self._settings.coordinator is None:
            self._deployment = self._read_deployment()
        coordinator = self.coordinator
        genesis, code = await self.rpc.batch(
            [("eth_getBlockByNumber", ["0x0", False]), ("eth_getCode", [coordinator, "latest"])]
        )
        if self._deployment is not None and genesis is not None and _hash(genesis) != self._deployment.genesis_hash:
            raise WrongChain(
                f"The chain was reset: its genesis is {_hash(genesis)}, {self._settings.deployment_file} is for "
                f"{self._deployment.genesis_hash}; start swarm-deploy again."
            )
        if code in ("0x", None):
            raise WrongContract(f"There is no contract at {coordinator}: correct SWARM_COORDINATOR or deploy again.")
        try:
            await self._views(("stageCount()",), ("currentRound()",), ("getBootnodesCount()",))
        except (ContractError, RpcRefused) as error:
            raise WrongContract(
                f"The contract at {coordinator} is no coordinator: correct SWARM_COORDINATOR."
            ) from error

    # Rounds

    async def round_and_stage(self) -> RoundInfo:
        """Round, stage and block number in one round trip."""
        current = await self.rpc.batch(
            [("eth_blockNumber", []), self._view("currentRound()"), self._view("currentStage()")]
        )
        block, round_number, stage = current
        return RoundInfo(
            round=abi.decode_result("currentRound()", hex_bytes(round_number))[0],
            stage=abi.decode_result("currentStage()", hex_bytes(stage))[0],
            block=quantity(block),
        )

    # Peers, rewards and votes

    async def owners(self, peer_ids: Sequence[str]) -> list[str | None]:
        """The account that owns each peer, None for peers nobody registered."""
        answer = await self._read_each("getEoa(string[])", peer_ids)
        return [None if owner == _NO_ADDRESS else str(owner) for owner in answer]

    async def peers_of(self, account: str) -> list[str]:
        """All peers that `account` owns."""
        (peers,) = await self._read("getPeerId(address[])", [account])
        return list(peers)

    async def total_rewards(self, peer_ids: Sequence[str]) -> list[int]:
        """Sum of all rewards of each peer."""
        return await self._read_each("getTotalRewards(string[])", peer_ids)

    async def has_reward(self, round_number: int, stage: int, peer_id: str) -> bool:
        """Whether the peer has a reward in this stage of this round."""
        return bool(
            await self._read("hasSubmittedRoundStageReward(uint256,uint256,string)", round_number, stage, peer_id)
        )

    async def votes_of(self, round_number: int, peer_id: str) -> list[str]:
        """Whom the peer voted for in this round; empty when it did not vote."""
        return list(await self._read("getVoterVotes(uint256,string)", round_number, peer_id))

    async def wins(self, peer_id: str) -> int:
        """How many votes the peer received in all rounds."""
        return int(await self._read("getTotalWins(string)", peer_id))

    async def vote_count(self, peer_id: str) -> int:
        """In how many rounds the peer voted (its participation)."""
        return int(await self._read("getVoterVoteCount(string)", peer_id))

    async def bootnodes(self) -> list[str]:
        """Multiaddresses of the swarm's bootnodes."""
        return list(await self._read("getBootnodes()"))

    async def has_role(self, role: str, account: str) -> bool:
        """Whether `account` holds `role` (`OWNER_ROLE`, `STAGE_MANAGER_ROLE` or `BOOTNODE_MANAGER_ROLE`)."""
        return bool(await self._read("hasRole(bytes32,address)", abi.role(role), account))

    async def limits(self) -> tuple[int, int]:
        """Largest absolute reward, and how many past rounds accept reports."""
        reward, window = await self._views(("maxReward()",), ("roundWindow()",))
        return int(reward), int(window)

    # Chain

    async def block(self) -> BlockInfo:
        """The latest block."""
        head = await self.rpc.call("eth_getBlockByNumber", "latest", False)
        (number,) = fields(head, "number")
        return BlockInfo(number=quantity(number), hash=_hash(head))

    async def block_hash(self, number: int) -> str | None:
        """Hash of the block with this number, None if the chain has no such block."""
        block = await self.rpc.call("eth_getBlockByNumber", hex(number), False)
        return None if block is None else _hash(block)

    async def nonce(self, account: str, tag: Tag = "latest") -> int:
        """How many transactions of `account` are mined (`pending`: or wait)."""
        return quantity(await self.rpc.call("eth_getTransactionCount", account, tag))

    async def balance(self, account: str) -> int:
        """Balance in wei."""
        return quantity(await self.rpc.call("eth_getBalance", account, "latest"))

    async def receipt(self, transaction: str) -> Receipt | None:
        """The receipt of a transaction hash, None while it is not mined."""
        raw = await self.rpc.call("eth_getTransactionReceipt", transaction)
        if raw is None or (isinstance(raw, dict) and raw.get("blockHash") is None):
            return None
        known, block, block_hash, status, gas = fields(
            raw, "transactionHash", "blockNumber", "blockHash", "status", "gasUsed"
        )
        return Receipt(
            hash=str(known),
            block=quantity(block),
            block_hash=str(block_hash),
            ok=quantity(status) == 1,
            gas_used=quantity(gas),
            contract=raw.get("contractAddress"),
        )

    async def lost_for_good(self, account: str, nonce: int, transactions: Sequence[str]) -> bool:
        """Whether the account's `nonce` is used up in a finalised block and none of `transactions` (hashes) had effect.

        One request, so that one node answers all of it. Raises RpcRefused where a node knows no finalised block.
        """
        calls: list[Call] = [("eth_getTransactionCount", [account, "finalized"])]
        calls += [("eth_getTransactionReceipt", [transaction]) for transaction in transactions]
        used, *receipts = await self.rpc.batch(calls)
        if quantity(used) <= nonce:
            return False
        return not any(receipt is not None and quantity(fields(receipt, "status")[0]) == 1 for receipt in receipts)

    async def send_raw(self, signed: bytes) -> str:
        """Hand over a signed transaction; returns its hash. Raises RpcRefused when the node does not take it.

        After Unavailable it may have arrived all the same: look for its receipt, then send the same bytes again.
        """
        return str(await self.rpc.call("eth_sendRawTransaction", "0x" + signed.hex()))

    async def simulate(self, account: str, data: bytes, to: str | None = None) -> bytes:
        """Run a call from `account` without a transaction, to the coordinator unless `to` names another contract;
        returns the answer. Raises ContractError if it reverts."""
        request = {"from": account, "to": to or self.coordinator, "data": "0x" + data.hex()}
        return hex_bytes(await self.rpc.call("eth_call", request, "latest"))

    async def estimate_gas(self, account: str, data: bytes) -> int:
        """Gas of a transaction to the coordinator. Raises also ContractError and RpcRefused."""
        return await self.estimate(account, data, self.coordinator)

    async def estimate(self, account: str, data: bytes, to: str | None) -> int:
        """Gas of a transaction to `to`; None: of the creation of a contract. Raises as `estimate_gas`."""
        request = {"from": account, "data": "0x" + data.hex()} | ({"to": to} if to else {})
        return quantity(await self.rpc.call("eth_estimateGas", request))

    async def fees(self) -> Fees:
        """Fees per gas for a transaction sent now. Zero on a chain whose gas is free."""
        head = await self.rpc.call("eth_getBlockByNumber", "latest", False)
        fields(head, "number")
        base = head.get("baseFeePerGas")
        if base is None:
            price = quantity(await self.rpc.call("eth_gasPrice"))
            return Fees(max_fee=price, priority=price)
        priority = 0
        if quantity(base) > 0:
            priority = await self._priority_fee()
        return Fees(max_fee=quantity(base) * _BASE_FEE_ROOM + priority, priority=priority)

    async def close(self) -> None:
        """Close connections."""
        await self.rpc.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Internals

    async def _priority_fee(self) -> int:
        try:
            return quantity(await self.rpc.call("eth_maxPriorityFeePerGas"))
        except RpcRefused as error:
            if error.code == _METHOD_NOT_FOUND:
                return 0
            raise

    def _read_deployment(self) -> Deployment:
        deployment = read_deployment(self._settings.deployment_file)
        if deployment.chain_id != self._settings.chain_id:
            raise WrongChain(
                f"{self._settings.deployment_file} is for chain {deployment.chain_id}, SWARM_CHAIN_ID is "
                f"{self._settings.chain_id}: set SWARM_COORDINATOR for another chain."
            )
        return deployment

    def _view(self, signature: str, *arguments: Any) -> Call:
        data = "0x" + abi.encode_call(signature, *arguments).hex()
        return ("eth_call", [{"to": self.coordinator, "data": data}, "latest"])

    async def _read(self, signature: str, *arguments: Any) -> Any:
        (value,) = await self._views((signature, *arguments))
        return value

    async def _read_each(self, signature: str, asked: Sequence[str]) -> list[Any]:
        """One result for each of `asked`. Raises WrongContract when there are more or fewer."""
        answer = list(await self._read(signature, list(asked)))
        if len(answer) != len(asked):
            raise WrongContract(f"{signature} answered {len(answer)} of {len(asked)}: this is no coordinator of ours.")
        return answer

    async def _views(self, *calls: tuple[Any, ...]) -> list[Any]:
        """The single result of each (signature, *arguments), all from one request."""
        answers = await self.rpc.batch([self._view(*call) for call in calls])
        return [abi.decode_result(call[0], hex_bytes(answer))[0] for call, answer in zip(calls, answers, strict=True)]


def _hash(block: Any) -> str:
    (found,) = fields(block, "hash")
    return str(found)

"""Settings of `swarm-dht`; a bootnode is the same program with other directories."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from swarm_core.identity import is_peer_id
from swarm_core.settings import SwarmSettings
from swarm_dht.addresses import parse_announced, parse_bootnode
from swarm_dht.peer_policy import Rules


class DhtSettings(SwarmSettings):
    """What the daemon needs to start; everything else has one right value."""

    run_dir: Path = Field(Path("/run/swarm"), description="Directory of dht.sock.")
    key_dir: Path = Field(Path("/keys/peer"), description="Directory of the peer key swarm.pem; made on first start.")
    p2p_host: IPv4Address | IPv6Address = Field(
        IPv4Address(0), description="Address that libp2p listens on; 0.0.0.0 is all of IPv4, :: all of IPv6 and IPv4."
    )
    p2p_port: int = Field(38751, ge=1, le=65535, description="Port of libp2p, TCP and UDP (QUIC).")
    announce: str = Field("", description="Addresses told to others, comma separated multiaddrs; unset: the own ones.")
    bootnodes: str = Field("", description="Bootnodes besides the chain's, comma separated multiaddrs with /p2p/<id>.")
    chain_id: int = Field(
        53855, ge=1, lt=2**63, description="Chain id, by which signed genrl records tell swarms apart."
    )
    dht_compat: Literal["off", "genrl"] = Field(
        "off", description="Share rollouts with genuine genrl 0.1.11 peers too."
    )
    reachability: Literal["auto", "public", "private"] = Field(
        "auto", description="Whether others can dial this node; auto asks them. private: behind NAT, join as a client."
    )
    admit: Literal["all", "registered"] = Field("all", description="Exchange with all peers, or registered ones only.")
    allow_peers: str = Field("", description="Peer ids that are always welcome, comma separated.")
    deny_peers: str = Field("", description="Peer ids that get and give nothing, comma separated.")
    max_per_account: int = Field(2, ge=1, le=32, description="Peers of one account asked in one collect.")
    max_per_subnet: int = Field(2, ge=1, le=32, description="Peers of one /24 (IPv6: /48) asked in one collect.")
    max_age_seconds: float = Field(600.0, gt=0, description="Rollout groups older than this count as stale.")

    @field_validator("announce")
    @classmethod
    def _announce_parses(cls, value: str) -> str:
        for text in split(value):
            parse_announced(text)
        return value

    @field_validator("allow_peers", "deny_peers")
    @classmethod
    def _peer_ids(cls, value: str) -> str:
        for text in split(value):
            if not is_peer_id(text):
                raise ValueError(f"{text!r} is not a peer id (Qm... or 12D3...)")
        return value

    @field_validator("bootnodes")
    @classmethod
    def _bootnodes_parse(cls, value: str) -> str:
        for text in split(value):
            parse_bootnode(text)
        return value

    def hosts(self) -> list[IPv4Address | IPv6Address]:
        """The addresses to listen on: libp2p's "all of IPv6" leaves IPv4 out."""
        both = isinstance(self.p2p_host, IPv6Address) and self.p2p_host.is_unspecified
        return [self.p2p_host, IPv4Address(0)] if both else [self.p2p_host]

    def rules(self) -> Rules:
        """Whom to exchange with."""
        return Rules(
            allow=frozenset(split(self.allow_peers)),
            deny=frozenset(split(self.deny_peers)),
            registered_only=self.admit == "registered",
            per_account=self.max_per_account,
            per_subnet=self.max_per_subnet,
        )

    def writable_directories(self) -> Iterable[Path]:
        """The socket and the key are written here."""
        return (self.run_dir, self.key_dir)


def split(text: str) -> list[str]:
    """The parts of a comma separated value, trimmed, without empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]

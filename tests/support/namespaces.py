"""Network namespaces on this machine: a public segment, and homes behind routers that masquerade (real NAT).

Needs root, iproute2 and iptables. All names begin with `rlx`; everything made is removed at the end, and
nothing outside these namespaces is touched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

# counted as public by libp2p, which ignores test networks; the segment has no way out of its namespaces
_PUBLIC = "11.22.33"
_HOME = "192.168.1"  # the same in every home, as in life


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


class Network:
    """One public segment (a bridge in a namespace of its own) and what hangs on it."""

    def __init__(self) -> None:
        self._prefix = f"rlx{os.getpid() % 100000}"
        self._made: list[str] = []
        self._hosts = 0
        self._wan = self._namespace("wan")
        self._ip(self._wan, "link", "add", "br0", "type", "bridge")
        self._ip(self._wan, "link", "set", "br0", "up")

    def _namespace(self, name: str) -> str:
        full = f"{self._prefix}{name}"
        _run("ip", "netns", "add", full)
        self._made.append(full)
        self._ip(full, "link", "set", "lo", "up")
        return full

    @staticmethod
    def _ip(namespace: str, *arguments: str) -> None:
        _run("ip", "-n", namespace, *arguments)

    @staticmethod
    def exec(namespace: str, *command: str) -> None:
        """Run `command` in `namespace`. Raises RuntimeError when it fails."""
        _run("ip", "netns", "exec", namespace, *command)

    def public(self, name: str) -> tuple[str, str]:
        """(namespace, address) of a host with a public address."""
        namespace = self._namespace(name)
        return namespace, self._attach(namespace)

    def _attach(self, namespace: str) -> str:
        """Connect `namespace` to the public segment; its address."""
        self._hosts += 1
        address, port = f"{_PUBLIC}.{self._hosts}", f"p{self._hosts}"
        self._ip(self._wan, "link", "add", port, "type", "veth", "peer", "name", "wan0", "netns", namespace)
        self._ip(self._wan, "link", "set", port, "master", "br0")
        self._ip(self._wan, "link", "set", port, "up")
        self._ip(namespace, "addr", "add", f"{address}/24", "dev", "wan0")
        self._ip(namespace, "link", "set", "wan0", "up")
        return address

    def home(self, name: str) -> tuple[str, str]:
        """(namespace, public address of its router) of a host behind NAT: it reaches out, nobody reaches in."""
        router, inside = self._namespace(f"{name}r"), self._namespace(name)
        address = self._attach(router)
        self._ip(router, "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", inside)
        self._ip(router, "addr", "add", f"{_HOME}.1/24", "dev", "lan0")
        self._ip(router, "link", "set", "lan0", "up")
        self._ip(inside, "addr", "add", f"{_HOME}.10/24", "dev", "eth0")
        self._ip(inside, "link", "set", "eth0", "up")
        self._ip(inside, "route", "add", "default", "via", f"{_HOME}.1")
        self.exec(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.exec(router, "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")
        self.exec(router, "iptables", "-P", "FORWARD", "DROP")
        self.exec(router, "iptables", "-A", "FORWARD", "-i", "lan0", "-o", "wan0", "-j", "ACCEPT")
        self.exec(router, "iptables", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
        return inside, address

    def cut(self, namespace: str, other: str, *, back: bool = False) -> None:
        """Drop all traffic between `namespace` and the address `other`; `back` undoes it."""
        for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d")):
            self.exec(namespace, "iptables", "-D" if back else "-A", chain, side, other, "-j", "DROP")

    def close(self) -> None:
        """Remove every namespace."""
        for namespace in reversed(self._made):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, timeout=30, check=False)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A `Network` that is removed at the end."""
    made = Network()
    try:
        yield made
    finally:
        made.close()

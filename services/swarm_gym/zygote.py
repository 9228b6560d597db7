"""`python -m swarm_gym.zygote FD`: imports reasoning-gym once, then forks a worker for each socket it is handed.

A worker answers one request at a time: it makes questions and scores texts. It may be killed at any moment; a new one
costs a fork (milliseconds) instead of an import (seconds). Works with `pool`, which is the other end of every socket.
Workers hold nothing but their socket, may not write files or start processes, and have an address space limit.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from typing import Any

from swarm_gym import wire
from swarm_gym.questions import is_held_out, make_entry, reasoning_gym
from swarm_gym.scoring import score_texts

_MEBIBYTE = 1024 * 1024
_PAGE = resource.getpagesize()


def main(control: int) -> None:
    """Serve until the control socket closes."""
    connection = socket.socket(fileno=control)
    reasoning_gym()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps dead workers
    gc.collect()
    gc.freeze()  # objects made so far are never looked at again, so workers share their pages
    connection.sendall(b"r")
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 16, 1)
        if not message or not descriptors:
            return
        memory = int(message.decode()) * _MEBIBYTE
        if os.fork() == 0:
            connection.close()
            _work(socket.socket(fileno=descriptors[0]), memory)
        os.close(descriptors[0])


def _work(connection: socket.socket, memory: int) -> None:
    """A worker's life; never returns."""
    code = 0
    try:
        _confine(memory)
        connection.sendall(wire.pack({"pid": os.getpid()}))
        while True:
            connection.sendall(wire.pack(_answer(wire.receive(connection))))
    except (wire.WorkerGone, BrokenPipeError, ConnectionResetError):
        pass
    except MemoryError:
        code = 1  # the pool sees the closed socket and starts another worker
    finally:
        os._exit(code)


def _confine(memory: int) -> None:
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * _PAGE
    resource.setrlimit(resource.RLIMIT_AS, (size + memory, size + memory))
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(limit, (0, 0))


def _answer(request: Any) -> Any:
    if request["op"] == "draw":
        return {"drawn": [_first_held_out(candidates) for candidates in request["candidates"]]}
    entries = [make_entry(name, seed, params) for name, seed, params in request["questions"]]
    if request["op"] == "make":
        return {"entries": [[entry["question"], entry["answer"] or ""] for entry in entries]}
    name, _, params = request["questions"][0]
    return {"scores": score_texts(name, params, entries[0], request["texts"])}


def _first_held_out(candidates: Any) -> Any:
    """Place, question and answer key of the first candidate that is never trained on; null when none is."""
    for place, (name, seed, params) in enumerate(candidates):
        entry = make_entry(name, seed, params)
        if entry["answer"] and is_held_out(entry["question"]):
            return [place, entry["question"], entry["answer"]]
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]))

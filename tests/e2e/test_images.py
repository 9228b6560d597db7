"""The images are no larger than promised, run without root, and have nothing in them that installs anything."""

from __future__ import annotations

import docker
import pytest
from tests.e2e.stack import TAG

BASE = "python:3.11-slim-bookworm"
GIGABYTE = 1_000_000_000


@pytest.mark.parametrize(("name", "above_base"), [("light", 0.25), ("swarm", 1.9)])
def test_an_image_is_small(images: None, name: str, above_base: float) -> None:
    client = docker.from_env()
    base, image = client.images.get(BASE), client.images.get(f"rl-swarm/{name}:{TAG}")
    grown = (image.attrs["Size"] - base.attrs["Size"]) / GIGABYTE
    print(f"{name}: {grown:.2f} GB above its base")
    assert grown <= above_base


@pytest.mark.parametrize("name", ["light", "swarm", "chain"])
def test_an_image_runs_without_root_and_cannot_install(images: None, name: str) -> None:
    client = docker.from_env()
    image = f"rl-swarm/{name}:{TAG}"
    assert client.images.get(image).attrs["Config"]["User"].split(":")[0] not in ("", "0", "root")
    if name == "chain":
        return
    code = "import importlib.util as u, os; print(os.getuid(), u.find_spec('pip'), os.access('/opt/venv', os.W_OK))"
    printed = client.containers.run(image, ["/opt/venv/bin/python", "-c", code], remove=True, network_mode="none")
    uid, pip, writable = printed.decode().split()
    assert (int(uid) > 0, pip, writable) == (True, "None", "False")

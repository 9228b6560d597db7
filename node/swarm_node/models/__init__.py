"""The embedded model: where its shipped files are, and the scripts that make them.

`embedded/` is a plain Hugging Face directory; `manifest.json` in it holds the SHA-256 of every other file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

MANIFEST = "manifest.json"


def embedded_directory() -> Path:
    """The directory of the shipped model."""
    return Path(__file__).parent / "embedded"


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of a model directory but its manifest, by name."""
    files = sorted(path for path in directory.iterdir() if path.is_file() and path.name != MANIFEST)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def damaged_files(directory: Path) -> list[str]:
    """Names of files that are missing, added or differ from the manifest; empty for a sound directory."""
    expected: dict[str, str] = json.loads((directory / MANIFEST).read_text())["sha256"]
    found = digests(directory)
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))

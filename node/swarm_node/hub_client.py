"""What pushes and downloads share: huggingface_hub with a timeout on every call, and a model fetched with patience.

A download shows bars on a terminal and a line now and then in a log; one that broke off goes on where it stopped, in
this process or the next. `HF_ENDPOINT`, `HF_HUB_OFFLINE` and the cache (`HF_HOME`) are huggingface_hub's own.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import httpx2

from swarm_core.errors import ConfigError
from swarm_core.log import get_logger

CALL_SECONDS = 30.0
_TRIES, _FIRST_PAUSE, _LONGEST_PAUSE = 8, 2.0, 60.0
_TELL_EVERY = 15.0
# weights as safetensors only: a pickle may run code
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.jinja", "*.model")
log = get_logger("hub")


def set_timeouts(seconds: float = CALL_SECONDS) -> None:
    """Give every later call of huggingface_hub a timeout; by itself it has none on most of them."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def factory() -> httpx2.Client:
        client = default_client_factory()
        client.timeout = httpx2.Timeout(seconds)
        return client

    set_client_factory(factory)


def fetch(name: str, tries: int = _TRIES, pause: float = _FIRST_PAUSE) -> Path:
    """Bring the Hub's model `name` into the cache, resuming what is there; the directory it lies in.

    Raises ConfigError when the Hub does not have it, or when it cannot be reached and no copy is in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    set_timeouts()
    if not sys.stderr.isatty():
        disable_progress_bars()
    stop = threading.Event()
    teller = threading.Thread(target=_tell, args=(name, stop), daemon=True)
    teller.start()
    try:
        for attempt in range(1, tries + 1):
            try:
                return Path(snapshot_download(name, allow_patterns=list(PATTERNS)))
            except (RepositoryNotFoundError, GatedRepoError) as error:
                raise ConfigError(
                    f"The Hub does not give the model {name!r} ({type(error).__name__}).",
                    "set SWARM_MODEL to a model that exists and is open to everybody, to embedded or to a directory",
                ) from error
            except (LocalEntryNotFoundError, HfHubHTTPError, httpx2.HTTPError, OSError) as error:
                if attempt == tries:
                    raise ConfigError(
                        f"The model {name!r} could not be downloaded: {_first_line(error)}.",
                        "look at the network, HF_ENDPOINT and HF_HUB_OFFLINE; the next start goes on from here",
                    ) from error
                log.warning("download broke off, it goes on", model=name, attempt=attempt, reason=_first_line(error))
            time.sleep(min(pause * 2 ** (attempt - 1), _LONGEST_PAUSE))
    finally:
        stop.set()
        teller.join(timeout=5)
    raise AssertionError("unreachable")


def _tell(name: str, stop: threading.Event) -> None:
    """A line every few seconds while a download runs, for logs without a terminal."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    blobs = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "blobs"
    while not stop.wait(_TELL_EVERY):
        size = sum(path.stat().st_size for path in blobs.glob("*") if path.is_file()) if blobs.is_dir() else 0
        log.info("downloading", model=name, mebibytes=size // 2**20)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:300] if lines else type(error).__name__

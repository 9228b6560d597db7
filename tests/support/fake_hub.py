"""A server that speaks the part of the Hugging Face Hub's API that its own client uses to check a token, push and load.

Repositories live in memory. It can be told to hang, to fail, or to break a download in the middle.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKENS = {
    "hf_write": {"role": "write"},
    "hf_read": {"role": "read"},
    "hf_fine": {
        "role": "fineGrained",
        "fineGrained": {"scoped": [{"entity": {"type": "user", "name": "ada"}, "permissions": ["repo.write"]}]},
    },
    "hf_fine_read": {
        "role": "fineGrained",
        "fineGrained": {"scoped": [{"entity": {"type": "user", "name": "ada"}, "permissions": ["repo.content.read"]}]},
    },
    "hf_fine_other": {
        "role": "fineGrained",
        "fineGrained": {"scoped": [{"entity": {"type": "org", "name": "club"}, "permissions": ["repo.write"]}]},
    },
}
COMMIT = "c0ffee" + "0" * 34


class FakeHub:
    """Serves on a free port of 127.0.0.1 while it is entered. `mode`: ok, down (503) or hang."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: list[tuple[str, str]] = []
        self.requests: list[tuple[str, str, str]] = []  # method, path, range
        self.objects: dict[str, bytes] = {}
        self.break_after: int | None = None  # bytes of the next large download before the connection is cut
        self.released = threading.Event()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeHub:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def commit(self, repository: str, lines: list[dict[str, Any]]) -> None:
        """Apply the lines of a commit."""
        files = self.files[repository]
        summary = ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                summary = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
        self.commits.append((repository, summary))


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_HEAD = do_GET

    def _handle(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        path = urlsplit(self.path).path
        self.hub.requests.append((self.command, path, self.headers.get("range") or ""))
        if self.hub.mode == "hang":
            self.hub.released.wait(600)
            self.close_connection = True
            return
        if self.hub.mode == "down":
            self._json(503, {"error": "down"})
            return
        if self.command == "PUT":
            self.hub.objects[path.rpartition("/")[2]] = body
            self._json(200, {})
        elif "/resolve/" in path:
            self._resolve(path)
        elif path == "/api/validate-yaml":
            self._json(200, {"errors": [], "warnings": []})
        else:
            self._api(path, body)

    def _api(self, path: str, body: bytes) -> None:
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        known = TOKENS.get(token)
        if known is None and not (self.command in ("GET", "HEAD") and path.startswith("/api/models/")):
            self._json(401, {"error": "Invalid user token."})
        elif path == "/api/whoami-v2":
            self._json(200, {"name": "ada", "type": "user", "auth": {"accessToken": known}})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'ada'}/{asked['name']}"
            self.hub.files.setdefault(name, {})
            self._json(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": name})
        elif path.endswith("/objects/batch"):
            self._json(200, {"transfer": "basic", "objects": [self._object(o) for o in json.loads(body)["objects"]]})
        elif path.startswith("/api/models/"):
            self._model(path.removeprefix("/api/models/").split("/"), body)
        else:
            self._json(404, {"error": "not found"})

    def _object(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = asked["oid"] in self.hub.objects
        actions = {} if known else {"actions": {"upload": {"href": f"{self.hub.url}/upload/{asked['oid']}"}}}
        return {"oid": asked["oid"], "size": asked["size"], **actions}

    def _model(self, parts: list[str], body: bytes) -> None:
        name, action = "/".join(parts[:2]), parts[2] if len(parts) > 2 else ""
        if name not in self.hub.files:
            self._json(404, {"error": "Repository not found"}, {"x-error-code": "RepoNotFound"})
        elif action == "preupload":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in json.loads(body)["files"]
            ]
            self._json(200, {"files": files})
        elif action == "commit":
            self.hub.commit(name, [json.loads(line) for line in body.splitlines() if line])
            self._json(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT})
        elif action == "tree":
            entries = [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha256(data).hexdigest()}
                for path, data in self.hub.files[name].items()
            ]
            self._json(200, entries)
        else:
            siblings = [{"rfilename": path} for path in self.hub.files[name]]
            self._json(200, {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": []})

    def _resolve(self, path: str) -> None:
        name, _, rest = path.lstrip("/").partition("/resolve/")
        file = rest.partition("/")[2]
        data = self.hub.files.get(name, {}).get(file)
        if data is None:
            self._json(404, {"error": "Entry not found"}, {"x-error-code": "EntryNotFound", "x-repo-commit": COMMIT})
            return
        start = int((self.headers.get("range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        part = data[start:]
        self.send_response(206 if start else 200)
        headers = {
            "content-length": str(len(part)),
            "etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "x-repo-commit": COMMIT,
            "accept-ranges": "bytes",
        }
        if start:
            headers["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.hub.break_after
        if cut is not None and len(part) > cut:
            self.hub.break_after = None
            self.wfile.write(part[:cut])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(part)

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for key, text in (headers or {}).items():
            self.send_header(key, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass

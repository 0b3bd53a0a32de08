"""A stand-in for the model hub: serves files of one folder, and takes in what is pushed. Speaks real HTTP."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """`files[repository][path]` is what the hub holds; `created` lists the repositories made, as requested,
    `asked` the files, `ranges` which bytes of them. Any other `status` than 200 is what every question for a file gets.
    Each number in `cuts` ends one answer after so many bytes; `damaged` files differ in their last byte.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.created: list[dict] = []
        self.asked: list[str] = []
        self.ranges: list[str | None] = []
        self.status = 200
        self.cuts: list[int] = []
        self.damaged = False
        self.tells_sha256 = True


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Tests say nothing."""

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _json(self, value: object, status: int = 200) -> None:
            self._answer(status, json.dumps(value).encode(), Content_Type="application/json")

        def _file(self) -> None:
            repository, _, path = self.path.lstrip("/").partition("/resolve/")
            hub.asked.append(self.path)
            if hub.status != 200:
                self._answer(hub.status)
                return
            content = hub.files.get(repository, {}).get(path.partition("/")[2])
            if content is None:
                code = "EntryNotFound" if repository in hub.files else "RepoNotFound"
                self._answer(404, X_Error_Code=code, X_Repo_Commit=COMMIT)
                return
            sha256, size = hashlib.sha256(content).hexdigest(), len(content)
            if self.command == "HEAD":
                facts = {"X_Linked_ETag": f'"{sha256}"', "X_Linked_Size": str(size)} if hub.tells_sha256 else {}
                self._answer(200, content, ETag='"weak"', X_Repo_Commit=COMMIT, **facts)
                return
            hub.ranges.append(self.headers.get("Range"))
            first = int((hub.ranges[-1] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            rest = (content[:-1] + b"?" if hub.damaged else content)[first:]
            place = {"Content_Range": f"bytes {first}-{size - 1}/{size}", "Content_Length": str(size - first)}
            self._answer(206 if first else 200, rest[: hub.cuts.pop(0)] if hub.cuts else rest, **place)

        do_HEAD = _file

        def do_GET(self) -> None:
            if "/resolve/" in self.path:
                self._file()
            else:
                self._json({"sha": COMMIT, "siblings": [], "id": self.path.partition("/models/")[2]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = f"http://127.0.0.1:{self.server.server_address[1]}"
            if self.path == "/api/repos/create":
                asked = json.loads(body)
                hub.created.append(asked)
                repository = f"{asked.get('organization') or 'someone'}/{asked['name']}"
                hub.files.setdefault(repository, {})
                self._json({"url": f"{url}/{repository}", "name": repository, "id": repository})
            elif self.path == "/api/validate-yaml":
                self._json({"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                asked = json.loads(body)["files"]
                modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]
                self._json({"files": modes})
            elif "/commit/" in self.path:
                repository = self.path.removeprefix("/api/models/").partition("/commit/")[0]
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        hub.files[repository][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                self._json(
                    {"commitUrl": f"{url}/{repository}/commit/{COMMIT}", "commitOid": COMMIT, "pullRequestUrl": None}
                )
            else:
                self._json({}, status=404)

    return Handler


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, cache: object) -> Iterator[Hub]:
    """The hub library's own settings point at a stand-in, and at an empty cache, until the end of the block."""
    from huggingface_hub import constants

    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()

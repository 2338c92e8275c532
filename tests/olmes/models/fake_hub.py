"""A Hugging Face hub on the loopback: repositories out of folders, over the hub's own HTTP API.

Named a fake: the real one is not reachable from a test. What the library of the hub asks is answered in
the form that the real one answers in.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_known"


@dataclass
class FakeHub:
    """What the hub has, and what it was asked."""

    url: str = ""
    branches: dict[str, dict[str, Path]] = field(default_factory=dict)
    """Folders by repository and branch."""
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    broken: int = 0
    """A status that everything is answered with."""
    fetched: list[str] = field(default_factory=list)
    """`OWNER/NAME/FILE` of every file that was fetched."""

    def add(self, repository: str, **branches: Path) -> None:
        """A repository with its branches; `_` in a name stands for itself."""
        self.branches[repository] = dict(branches)

    def commit(self, repository: str, revision: str) -> str | None:
        """The commit of a branch, or of a commit itself."""
        for name in self.branches.get(repository, {}):
            commit = hashlib.sha1(f"{repository}@{name}".encode()).hexdigest()
            if revision in (name, commit):
                return commit
        return None

    def folder(self, repository: str, revision: str) -> Path | None:
        """The folder of a branch or commit."""
        commit = self.commit(repository, revision)
        for name, folder in self.branches.get(repository, {}).items():
            if commit and self.commit(repository, name) == commit:
                return folder
        return None


def file_id(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers what `huggingface_hub` asks for models."""

    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.hub.broken:
            self.send(self.hub.broken, b"{}", body=body)
            return
        if found := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)(/.*)?", path):
            self.api(found[1], found[2] or "", body=body)
        elif found := re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path):
            self.file(found[1], found[2], found[3], body=body)
        else:
            self.send(404, b"{}", body=body)

    def known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def refused(self, repository: str, *, body: bool) -> bool:
        """Whether the repository is not shown to who asks."""
        hidden = repository in self.hub.private and not self.known()
        if repository not in self.hub.branches or hidden:
            # The real one does not say which are private: 401 to who brings no token.
            status = 404 if self.known() else 401
            self.send(status, b'{"error": "x"}', body=body, code="RepoNotFound")
            return True
        return False

    def api(self, repository: str, rest: str, *, body: bool) -> None:
        if self.refused(repository, body=body):
            return
        if rest == "/refs":
            refs = [
                {
                    "name": name,
                    "ref": f"refs/heads/{name}",
                    "targetCommit": self.hub.commit(repository, name),
                }
                for name in self.hub.branches[repository]
            ]
            self.send(200, json.dumps({"branches": refs, "tags": [], "converts": []}).encode())
            return
        found = re.fullmatch(r"(?:/revision/(?P<a>[^/]+))?|/tree/(?P<b>[^/]+).*", rest)
        revision = (found and (found["a"] or found["b"])) or "main"
        folder = self.hub.folder(repository, revision)
        if folder is None:
            self.send(404, b'{"error": "x"}', body=body, code="RevisionNotFound")
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        if rest.startswith("/tree/"):
            rows = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": file_id(path)}
                for name, path in zip(names, files, strict=True)
            ]
            self.send(200, json.dumps(rows).encode(), body=body)
            return
        info = {
            "id": repository,
            "sha": self.hub.commit(repository, revision),
            "siblings": [{"rfilename": name} for name in names],
        }
        self.send(200, json.dumps(info).encode(), body=body)

    def file(self, repository: str, revision: str, name: str, *, body: bool) -> None:
        if self.refused(repository, body=body):
            return
        if repository in self.hub.gated and not self.known():
            said = b'{"error": "Access to model is restricted."}'
            self.send(401, said, body=body, code="GatedRepo")
            return
        folder = self.hub.folder(repository, revision)
        path = folder / name if folder else None
        if path is None or not path.is_file():
            self.send(404, b"{}", body=body, code="EntryNotFound")
            return
        if body:
            self.hub.fetched.append(f"{repository}/{name}")
        more = {
            "X-Repo-Commit": str(self.hub.commit(repository, revision)),
            "ETag": f'"{file_id(path)}"',
        }
        self.send(200, path.read_bytes(), body=body, more=more)

    def send(
        self,
        status: int,
        content: bytes,
        *,
        body: bool = True,
        code: str = "",
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(len(content)), "Content-Type": "application/json"}
        if code:
            headers |= {"X-Error-Code": code, "X-Error-Message": "no"}
        for name, value in (headers | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextmanager
def serving() -> Iterator[FakeHub]:
    """A running hub without repositories."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A small Hugging Face Hub on 127.0.0.1: repositories in memory, files by revision, uploads as commits.

It speaks the part of the HTTP API that huggingface_hub uses for these; nothing leaves the machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeHub:
    """Repositories: name -> commits, each a table of files; ``main`` is the last one.

    ``requests`` lists what was asked for, and ``cards`` the model cards that were sent for validation.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.requests: list[str] = []
        self.cards: list[str] = []
        self.settings: list[dict[str, Any]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Add files to those of the last commit; returns the hash of the new one."""
        commits = self.repositories.setdefault(repository, {})
        whole = {**(list(commits.values())[-1] if commits else {}), **files}
        digest = hashlib.sha1(repr((len(commits), sorted(whole.items()))).encode()).hexdigest()
        commits[digest] = whole
        return digest

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"content_length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            if self.path.startswith("/api/"):
                return self.answer(401 if "whoami" in self.path else 404)
            owner, name, _, revision, file = self.path.strip("/").split("/", 4)
            commits = hub.repositories.get(f"{owner}/{name}")
            if commits is None:
                return self.answer(404, x_error_code="RepoNotFound")
            commit = list(commits)[-1] if revision == "main" else revision
            if commit not in commits:
                return self.answer(404, x_error_code="RevisionNotFound")
            content = commits[commit].get(file)
            if content is None:
                return self.answer(404, x_error_code="EntryNotFound", x_repo_commit=commit)
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return self.answer(200, content, etag=etag, x_repo_commit=commit)

        do_GET = do_HEAD

        def do_POST(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers["content-length"]))
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[1:] != ["validate-yaml"] and self.headers.get("authorization") != "Bearer good":
                return self.answer(401, b"{}", content_type="application/json")
            answer: Any = {}
            if parts[1:] == ["validate-yaml"]:
                hub.cards.append(json.loads(body)["content"])
            elif parts[1:] == ["repos", "create"]:
                asked = json.loads(body)
                hub.settings.append(asked)
                repository = f"{asked['organization']}/{asked['name']}"
                hub.repositories.setdefault(repository, {})
                answer = {"url": f"{hub.endpoint}/{repository}"}
            elif parts[4] == "preupload":
                files = json.loads(body)["files"]
                names = [each["path"] for each in files]
                answer = {
                    "files": [{"path": x, "uploadMode": "regular", "shouldIgnore": False} for x in names]
                }
            else:
                repository = "/".join(parts[2:4])
                lines = [json.loads(line) for line in body.splitlines()]
                files = [line["value"] for line in lines if line["key"] == "file"]
                oid = hub.commit(repository, {f["path"]: base64.b64decode(f["content"]) for f in files})
                answer = {"commitUrl": f"{hub.endpoint}/{repository}/commit/{oid}", "commitOid": oid}
            return self.answer(200, json.dumps(answer).encode(), content_type="application/json")

    return Handler

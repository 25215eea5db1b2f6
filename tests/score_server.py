"""A score endpoint that answers what a test wants, and keeps what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 202
    body: object = field(default_factory=lambda: {"message": "Accepted"})
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    headers: Mapping[str, str]
    body: Any
    size: int
    path: str


class ScoreServer:
    """``with ScoreServer() as server:`` listens on a free loopback port.

    ``answer`` gets the decoded body of each request; ``script`` holds answers that go first.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.script: list[Answer] = []
        self.answer: Callable[[Any], Answer] = lambda body: Answer()
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.gate.wait(30)
                try:
                    body = json.loads(raw)
                except ValueError:
                    body = raw
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append(Received(headers, body, len(raw), self.path))
                answer = outer.script.pop(0) if outer.script else outer.answer(body)
                said = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ScoreServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def scores(self) -> list[dict[str, Any]]:
        """Every score of every request, in order of arrival."""
        return [
            score
            for request in self.requests
            for score in (request.body if isinstance(request.body, list) else [request.body])
        ]

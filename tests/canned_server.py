"""An HTTP server that answers each path as a test has written it down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Canned:
    """``answers`` maps a path to (status, body) or to a function of the query that gives it."""

    answers: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@contextmanager
def canned(answers: Mapping[str, Any], **headers: str) -> Iterator[Canned]:
    """Serves ``answers``; ``headers`` (``date``) take the place of the usual ones."""
    given = Canned(dict(answers), headers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            found = given.answers.get(parts.path, (404, {"message": "not found"}))
            if callable(found):
                found = found(parse_qs(parts.query))
            status, body = found
            self.send_response_only(status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        given.url = f"http://127.0.0.1:{server.server_port}"
        yield given
        server.shutdown()

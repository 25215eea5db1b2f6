"""A small HTTP server that answers what the test wrote down, byte for byte, and keeps what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: A piece of a body, or a moment to wait for.
Piece = bytes | threading.Event


@dataclass
class Answer:
    """``cut`` closes the connection where the body should go on."""

    pieces: list[Piece]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    cut: bool = False


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """``answers`` are given in order; the last one again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[Answer] = []
        self.requests: list[Request] = []

    def answer(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def reset(self, *answers: Answer) -> None:
        self.requests.clear()
        self.answer(*answers)

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def scripted() -> Iterator[Scripted]:
    """The server, on a free port of the loopback interface."""
    told: Scripted

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.requests.append(Request(self.path, headers, body))
            answer = told.next()
            whole = sum(len(piece) for piece in answer.pieces if isinstance(piece, bytes))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.chunked:
                self.send_header("transfer-encoding", "chunked")
            else:
                self.send_header("content-length", str(whole + (1000 if answer.cut else 0)))
            self.end_headers()
            try:
                self._send(answer)
            except OSError:  # the client has gone
                self.close_connection = True

        def _send(self, answer: Answer) -> None:
            for piece in answer.pieces:
                if isinstance(piece, threading.Event):
                    self.wfile.flush()
                    piece.wait(10)
                elif answer.chunked:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                else:
                    self.wfile.write(piece)
            if answer.cut:
                self.close_connection = True
            elif answer.chunked:
                self.wfile.write(b"0\r\n\r\n")

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: object) -> None:
            """Clients that hang up are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    told = Scripted(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

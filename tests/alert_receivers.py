"""Where alerts go in the tests: a webhook's server, and a mail server of a few lines."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """Keeps what is posted; ``statuses`` are answered first, then 200."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.statuses: list[int] = []
        self.url = ""


@contextmanager
def webhook() -> Iterator[Webhook]:
    kept = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(kept.statuses.pop(0) if kept.statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        kept.url = f"http://127.0.0.1:{server.server_port}/services/T0/secret-path"
        yield kept
        server.shutdown()


class MailServer:
    """Keeps envelopes and messages."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self.logins: list[str] = []
        self.refuse = False
        self.url = ""


@contextmanager
def mail_server() -> Iterator[MailServer]:
    kept = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            sender, recipients = "", []
            self.say("220 mail")
            while line := self.rfile.readline().decode().strip():
                word = line.upper()
                if word.startswith("EHLO"):
                    self.say("250-mail\r\n250 AUTH PLAIN")
                elif word.startswith("AUTH"):
                    kept.logins.append(line)
                    self.say("235 ok")
                elif word.startswith("MAIL FROM:"):
                    sender = line.partition("<")[2].partition(">")[0]
                    self.say("550 go away" if kept.refuse else "250 ok")
                elif word.startswith("RCPT TO:"):
                    recipients.append(line.partition("<")[2].partition(">")[0])
                    self.say("250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    kept.mails.append((sender, recipients, self.message()))
                    self.say("250 ok")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def message(self) -> str:
            lines = []
            while (line := self.rfile.readline().decode()) != ".\r\n":
                lines.append(line.rstrip("\r\n"))
            return "\n".join(lines)

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        kept.url = f"smtp://alerts%40example.com:pa%2Fss@127.0.0.1:{server.server_address[1]}"
        yield kept
        server.shutdown()

"""A server on this machine that answers over https, and what it was asked for."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

#: Certificate and key in one; whoever trusts it trusts this server alone.
CERTIFICATE = Path(__file__).with_name("localhost.pem")


@dataclass(frozen=True)
class Answer:
    """What is answered at one path. `sent` is how many bytes of the content are, None for all."""

    content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None


@dataclass(frozen=True)
class Server:
    """A running server: its address, what it answers by path, and the paths it was asked for."""

    address: str
    answers: dict[str, Answer]
    asked: list[str]


@contextmanager
def serving(answers: Mapping[str, Answer]) -> Iterator[Server]:
    """Serve these answers, and 404 at any other path."""
    known, asked = dict(answers), list[str]()

    class Handler(_Handler):
        ANSWERS, ASKED = known, asked

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with _Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Server(f"https://127.0.0.1:{server.server_port}", known, asked)
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Nothing is printed where a client turns away."""


class _Handler(BaseHTTPRequestHandler):
    ANSWERS: ClassVar[dict[str, Answer]]
    ASKED: ClassVar[list[str]]

    def do_GET(self) -> None:  # the name that http.server asks for
        self.ASKED.append(self.path)
        answer = self.ANSWERS.get(self.path, Answer(status=404))
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content[: answer.sent])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing is printed: `asked` says what was asked."""

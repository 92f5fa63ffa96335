"""A TCP proxy in front of a Postgres server, which loses answers and connections when told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import URL, make_url

#: What a client sends to commit, as a simple query; the server's word that it has done so.
_COMMIT, _COMMITTED = b"COMMIT\0", b"COMMIT\0"


@dataclass
class Proxy:
    """Passes bytes on in both directions.

    Of so many further COMMITs it `loses` the answers: the server has done them, and the connection
    ends. Of so many it `swallows` the requests: they never reach the server. While it `is_away`,
    connections are refused, and `cut` ends those there are. While it `is_deaf` nothing passes in
    either direction and nobody is told, as where a cable is cut or the server's process is stopped.
    """

    server: URL
    loses: int = 0
    swallows: int = 0
    is_away: bool = False
    is_deaf: bool = False
    _open: list[socket.socket] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def cut(self) -> None:
        """End all connections."""
        with self._guard:
            ended, self._open = self._open, []
        for end in ended:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def comes_back_in(self, seconds: float) -> None:
        """Let connections in again after so long."""
        timer = threading.Timer(seconds, lambda: setattr(self, "is_away", False))
        timer.daemon = True
        timer.start()

    def accept(self, listener: socket.socket) -> None:
        """Serve whoever comes, until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self.is_away:
                client.close()
                continue
            assert self.server.host is not None
            server = socket.create_connection((self.server.host, self.server.port or 5432))
            with self._guard:
                self._open += [client, server]
            connection = _Connection(self, client, server)
            for work in (connection.pass_requests, connection.pass_answers):
                threading.Thread(target=work, daemon=True).start()

    def take(self, what: str) -> bool:
        """Whether the next of these is to be done; counts down."""
        with self._guard:
            left: int = getattr(self, what)
            setattr(self, what, max(0, left - 1))
            return left > 0


@dataclass
class _Connection:
    proxy: Proxy
    client: socket.socket
    server: socket.socket
    commits: bool = False

    def pass_requests(self) -> None:
        for content in self._heard(self.client):
            if content.endswith(_COMMIT):
                if self.proxy.take("swallows"):
                    break
                self.commits = True
            with suppress(OSError):
                self.server.sendall(content)
        self._end(self.client)

    def pass_answers(self) -> None:
        for content in self._heard(self.server):
            if self.commits and _COMMITTED in content:
                self.commits = False
                if self.proxy.take("loses"):
                    break
            with suppress(OSError):
                self.client.sendall(content)
        self._end(self.server)

    def _heard(self, end: socket.socket) -> Iterator[bytes]:
        for content in _received(end):
            while self.proxy.is_deaf:
                time.sleep(0.02)
            yield content

    def _end(self, own: socket.socket) -> None:
        """End both directions; each of the two threads lets go of the socket that it reads."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        own.close()


def _received(end: socket.socket) -> Iterator[bytes]:
    with suppress(OSError):
        while content := end.recv(1 << 16):
            yield content


@contextmanager
def proxied(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of a database's server, and the database's URL through it."""
    direct = make_url(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(direct)
        thread = threading.Thread(target=proxy.accept, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        through = direct.set(host="127.0.0.1", port=port)
        try:
            yield proxy, through.render_as_string(hide_password=False)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            proxy.cut()
            thread.join(timeout=10)

"""A link that can be cut: forwards connections of one port to another on this machine."""

import selectors
import socket
import threading
from contextlib import suppress

CHUNK = 65536


class Link:
    """Forwards TCP connections until it is cut.

    Args:
        port: that a site connects to.
        target: the server's port.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> "Link":
        self.restore()
        return self

    def __exit__(self, *reason: object) -> None:
        self.cut()

    def restore(self) -> None:
        """Takes connections again."""
        listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Closes every connection and refuses new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            found, self._open = self._open, set()
        for entry in (listener, *found):
            if entry is not None:
                with suppress(OSError):
                    entry.shutdown(socket.SHUT_RDWR)
                entry.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # cut
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # the server is down; the site tries again
                client.close()
                continue
            with self._lock:
                if self._listener is not listener:
                    client.close()
                    server.close()
                    return
                self._open |= {client, server}
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, suppress(OSError, ValueError):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    content = key.fileobj.recv(CHUNK)  # type: ignore[union-attr]
                    if not content:
                        raise OSError("the other side closed it")
                    key.data.sendall(content)
        for entry in (client, server):
            with suppress(OSError):
                entry.close()
            with self._lock:
                self._open.discard(entry)

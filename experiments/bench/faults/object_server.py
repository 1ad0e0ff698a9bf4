"""An S3 server on this machine, behind a proxy that counts bytes and cuts connections.

The server is moto's, from the extra `dev`. It keeps everything in memory.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nbest.experiments.language.optional_packages import optional

BUCKET = "bucket"
_CHUNK_BYTES = 1 << 16


class Proxy:
    """Passes connections on to a server of this machine."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent_bytes = 0  # by the server
        self._open: set[socket.socket] = set()
        self._is_cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Cut all connections, and refuse new ones for as long as the context lasts."""
        self._is_cut.set()
        for connection in tuple(self._open):
            _shut(connection)
        try:
            yield
        finally:
            self._is_cut.clear()

    def close(self) -> None:
        self._listener.close()
        for connection in tuple(self._open):
            _shut(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it is closed
                return
            if self._is_cut.is_set():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                is_answer = source is server
                threading.Thread(
                    target=self._pass_on, args=(source, sink, is_answer), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                sink.sendall(data)
                self.sent_bytes += len(data) if is_answer else 0
        for connection in (source, sink):
            _shut(connection)
            self._open.discard(connection)


class ObjectServer:
    """A running server with one bucket."""

    def __init__(self, port: int) -> None:
        self.proxy = Proxy(port)

    def uri(self, run: str) -> str:
        """The URI of a run of that name."""
        where = f"endpoint_override=127.0.0.1:{self.proxy.port}&scheme=http&region=us-east-1"
        return f"s3://key:secret@{BUCKET}/runs/{run}?{where}"


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """Run a server for as long as the context lasts; InputError where moto is not installed."""
    optional("flask", "an S3 server", "dev")
    moto = optional("moto.server", "an S3 server", "dev")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    here = ObjectServer(port)
    try:
        _make_bucket(here)
        yield here
    finally:
        here.proxy.close()
        server.stop()


def _make_bucket(server: ObjectServer) -> None:
    import pyarrow.fs

    store = pyarrow.fs.S3FileSystem(
        access_key="key",
        secret_key="secret",
        endpoint_override=f"127.0.0.1:{server.proxy.port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir(BUCKET)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()

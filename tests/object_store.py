"""An object store on loopback: moto's server, which speaks S3, behind a door that tests can shut."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BUCKET = "bucket"


class Door:
    """Passes connections on to a port, unless it is shut: then the store is as if it were away."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_shut = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        self._is_shut = True
        for end in list(self._open):
            _hang_up(end)

    def reopen(self) -> None:
        self._is_shut = False

    def close(self) -> None:
        self.shut()
        _hang_up(self._listener)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                outer, _ = self._listener.accept()
                if self._is_shut:
                    outer.close()
                    continue
                inner = socket.create_connection(("127.0.0.1", self._port))
                self._open |= {outer, inner}
                for ends in ((outer, inner), (inner, outer)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                target.sendall(data)
        for end in (source, target):
            _hang_up(end)
            self._open.discard(end)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


class Store:
    """The store that a test uses, empty at its beginning.

    Attributes:
      variables: the environment variables by which podmeta reaches it.
      door: which the test may shut.
    """

    def __init__(self, port: int) -> None:
        self.door = Door(port)
        self._directly = f"http://127.0.0.1:{port}"
        self.variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.door.port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def client(self):
        """boto3's client, which does not go through the door."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self._directly,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )

    def names(self, prefix: str = "") -> list[str]:
        """The names of all objects that begin so."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def get(self, name: str) -> bytes:
        return self.client().get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def put(self, name: str, content: bytes) -> None:
        self.client().put_object(Bucket=BUCKET, Key=name, Body=content)

    def delete(self, name: str) -> None:
        self.client().delete_object(Bucket=BUCKET, Key=name)


@contextlib.contextmanager
def served(log: Path) -> Iterator[int]:
    """Runs moto's server in a process of its own; yields its port."""
    pytest.importorskip("moto", reason="moto, which serves an object store on loopback, is not installed")
    pytest.importorskip("s3fs", reason="s3fs, which reaches object stores, is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert process.poll() is None, log.read_text(encoding="utf-8")
                time.sleep(0.1)
            yield port
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def empty_store(port: int) -> Iterator[Store]:
    """A store with an empty bucket."""
    store = Store(port)
    store.client().create_bucket(Bucket=BUCKET)
    try:
        yield store
    finally:
        store.door.close()
        for name in store.names():
            store.delete(name)
        store.client().delete_bucket(Bucket=BUCKET)

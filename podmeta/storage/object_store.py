"""Object stores, such as Amazon S3 and Google Cloud Storage: the few operations that runs need, and their errors.

fsspec reaches them, with s3fs or gcsfs. Nothing is appended to, renamed or locked there, because stores cannot do that.
"""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path

from podmeta.errors import InputError, PodmetaError
from podmeta.storage.files import reason

_PACKAGES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs")}
"""By scheme, the package that reaches such stores, and podmeta's extra that installs it."""

_MAX_REASON = 300  # characters


class StoreError(PodmetaError):
    """A store could not be reached, or refused what was asked of it."""


class ObjectStore:
    """The objects below an address.

    Attributes:
      address: such as s3://bucket/run, without a slash at its end.
    """

    def __init__(self, address: str) -> None:
        """Connects when the first object is asked for.

        Args:
          address: see the attribute.

        Raises:
          InputError: the address names no bucket, or the package that reaches such stores is not installed.
        """
        scheme, _, place = address.partition("://")
        self._root = place.rstrip("/")
        self.address = f"{scheme}://{self._root}"
        if not self._root:
            raise InputError(f"{address} names no bucket: write {scheme}://BUCKET/RUN")
        package, extra = _PACKAGES[scheme]
        try:
            importlib.import_module(package)
            import fsspec

            # Others write there too, so no listing is kept.
            self._system = fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise InputError(
                f"{self.address} is in an object store: pip install 'podmeta[{extra}]' reaches it"
            ) from error
        except Exception as error:
            raise InputError(f"{self.address} cannot be reached: {reason(error)[:_MAX_REASON]}") from error

    def names(self, folder: str = "") -> list[str]:
        """The names of all objects below the address, or below a folder there, sorted.

        Raises:
          StoreError: it cannot be listed, for instance because there is no such bucket.
        """
        with self._explained("listed"):
            found = self._system.find(f"{self._root}/{folder}".rstrip("/"))
        return sorted(name.removeprefix(f"{self._root}/") for name in found if name.startswith(f"{self._root}/"))

    def read(self, name: str) -> bytes | None:
        """The content of an object; None if there is none of this name.

        Raises:
          StoreError: it cannot be read.
        """
        with self._explained(f"read ({name})"):
            try:
                return self._system.cat_file(f"{self._root}/{name}")
            except FileNotFoundError:
                return None

    def download(self, name: str, path: Path) -> None:
        """Copies an object to a file, which is made or overwritten.

        Raises:
          StoreError: it cannot be read, or the file not be written.
        """
        with self._explained(f"read ({name})"):
            self._system.get_file(f"{self._root}/{name}", str(path))

    def write(self, name: str, content: bytes) -> None:
        """Writes an object, whole or not at all.

        Raises:
          StoreError: it cannot be written.
        """
        with self._explained(f"written ({name})"):
            self._system.pipe_file(f"{self._root}/{name}", content)

    def upload(self, name: str, path: Path) -> None:
        """Writes an object with the content of a file, whole or not at all.

        Raises:
          FileNotFoundError: there is no such file any more.
          StoreError: it cannot be written.
        """
        path.lstat()
        with self._explained(f"written ({name})"):
            try:
                self._system.put_file(str(path), f"{self._root}/{name}")
            except FileNotFoundError:
                if path.exists():
                    raise
        path.lstat()

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object unless there is one of this name; whether it did. Of several processes, one succeeds.

        Args:
          name: of the object.
          content: of it, which no other process writes.

        Raises:
          StoreError: it cannot be written.
        """
        try:
            with self._explained(f"written ({name})"):
                self._system.pipe_file(f"{self._root}/{name}", content, mode="create")
        except StoreError:
            # Stores say in different ways that it is there; and it may be there from a try whose answer was lost.
            found = self.read(name)
            if found is None:
                raise
            return found == content
        return True

    def delete(self, name: str) -> None:
        """Deletes an object. None of this name is fine.

        Raises:
          StoreError: it cannot be deleted.
        """
        with self._explained(f"deleted ({name})"), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(f"{self._root}/{name}")

    @contextlib.contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of botocore, aiohttp, Google's libraries …
            raise StoreError(f"{self.address} cannot be {done}: {reason(error)[:_MAX_REASON]}") from error

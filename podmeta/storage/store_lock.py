"""The lock of a run in an object store, which one process holds at a time, wherever it is.

Holders are numbered, each with an object `lock/00000001`, …, which is created only if there is none of this number. The
highest number holds, and writes its object anew every few seconds. Whoever starts watches it: if it changes, its holder
lives; if it does not for a while, the next number takes over, and the former holder finds out before it next publishes.
"""

import contextlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from podmeta.errors import InputError, PodmetaError
from podmeta.exits import AbandonableThread
from podmeta.storage.object_store import ObjectStore
from podmeta.storage.run_lock import this_process

SECONDS_BETWEEN_BEATS = 15.0
SECONDS_UNTIL_GONE = 120.0
_SECONDS_BETWEEN_LOOKS = 3.0
_FOLDER = "lock"
_NAME = re.compile(rf"{_FOLDER}/(\d{{8}})")
_MAX_HOLDER = 200  # characters


class HolderInStore(NamedTuple):
    """The newest holder.

    Attributes:
      number: how many there have been; 0: none.
      token: what only this holder has written; "" without one.
      words: the process in words; "" once it has released the lock.
      time: when it wrote this, in Unix time.
    """

    number: int
    token: str
    words: str
    time: float


def holder_in(store: ObjectStore) -> HolderInStore:
    """The newest holder of the lock.

    Raises:
      StoreError: the store cannot be read.
    """
    number = max(_numbers(store), default=0)
    content = store.read(_name(number)) if number else None
    if content is None:
        return HolderInStore(number, "", "", 0.0)
    try:
        said = json.loads(content)
        words = str(said["holder"])[:_MAX_HOLDER]
        return HolderInStore(number, str(said["token"]), words, float(said["time"]))
    except (ValueError, TypeError, KeyError, RecursionError):  # somebody else's
        return HolderInStore(number, "", "another process", 0.0)


class StoreLock:
    """The lock of a run in a store.

    Attributes:
      token: what tells this holder from any other.
      was_last: whether the holder before was one of those whose tokens were given.
    """

    def __init__(
        self,
        store: ObjectStore,
        last_tokens: Sequence[str],
        note_tokens: Callable[[Sequence[str]], None],
        tell: Callable[[str], None],
    ) -> None:
        """Takes the lock.

        Args:
          store: the run.
          last_tokens: of earlier holders that are known to be gone.
          note_tokens: called before the lock passes on from one of those, with its token and the new one.
          tell: shows the user a line.

        Raises:
          InputError: another process holds it.
          StoreError: the store cannot be read or written.
        """
        self._store = store
        self.token = secrets.token_hex(16)
        before = holder_in(store)
        self.was_last = before.token in last_tokens
        if before.words and not self.was_last:
            before = _await_end(store, before, tell)
        if self.was_last:
            note_tokens([before.token, self.token])
        self._number = before.number + 1
        if not store.create(_name(self._number), self._content()):
            raise _in_use(store, holder_in(store))
        for number in _numbers(store):
            if number < self._number:
                store.delete(_name(number))
        self._released = threading.Event()
        self._thread = AbandonableThread("lock in the store", self._beat)
        self._thread.start()

    def check(self) -> None:
        """Checks that no other process has taken over.

        Raises:
          PodmetaError: one has.
          StoreError: the store cannot be read.
        """
        newest = holder_in(self._store)
        if newest.number != self._number or newest.token != self.token:
            raise PodmetaError(
                f"{self._store.address} was taken over by {newest.words or 'another process'}, because nothing was "
                "heard of this one: nothing more is published there"
            )

    def release(self) -> None:
        """Releases the lock. If the store cannot be reached, others find out that the holder is gone."""
        self._released.set()
        self._thread.join(SECONDS_BETWEEN_BEATS)
        with contextlib.suppress(PodmetaError):
            self.check()
            self._store.write(_name(self._number), self._content(released=True))

    def _beat(self) -> None:
        while not self._released.wait(SECONDS_BETWEEN_BEATS):
            with contextlib.suppress(PodmetaError):  # the store may answer again; `check` tells that the lock is lost
                self.check()
                self._store.write(_name(self._number), self._content())

    def _content(self, released: bool = False) -> bytes:
        holder = "" if released else this_process()
        return json.dumps({"token": self.token, "holder": holder, "time": time.time()}).encode()


def _await_end(store: ObjectStore, before: HolderInStore, tell: Callable[[str], None]) -> HolderInStore:
    """Watches a holder until it is gone or releases the lock.

    Raises:
      InputError: it lives.
    """
    tell(
        f"{store.address} is locked by {before.words}: waiting for a sign of it, at most {SECONDS_UNTIL_GONE:.0f} s, "
        "before taking over"
    )
    start = time.monotonic()
    while time.monotonic() - start < SECONDS_UNTIL_GONE:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        now = holder_in(store)
        if not now.words:
            return now
        if now != before:
            raise _in_use(store, now)
    tell(f"nothing was heard of {before.words}: taking over {store.address}")
    return before


def _in_use(store: ObjectStore, holder: HolderInStore) -> InputError:
    return InputError(
        f"run_dir {store.address} is in use by {holder.words or 'another process'}. Wait for it, stop it, or choose "
        "another run_dir"
    )


def _numbers(store: ObjectStore) -> list[int]:
    matches = [_NAME.fullmatch(name) for name in store.names(_FOLDER)]
    return [int(match[1]) for match in matches if match]


def _name(number: int) -> str:
    return f"{_FOLDER}/{number:08d}"

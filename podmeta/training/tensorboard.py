"""TensorBoard's event files."""

import secrets
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podmeta.storage.files import explained_write_errors
from podmeta.training.tags import metric_tag

_SECONDS_BETWEEN_FLUSHES = 10.0
_SIZE_IN_GIF = 6  # bytes before the width and the height
_METRICS_BESIDE_HYPER_PARAMETERS = ("fitness_mean", "test_reward_mean")


class EventFile:
    """One event file, written in this thread.

    tensorboardX's `SummaryWriter` writes from a thread behind a bounded queue: when that thread dies on a full
    disk, the training loop waits for the queue for ever. The event file underneath it has no thread.
    """

    def __init__(
        self,
        directory: Path,
        resumed_update: int = 0,
        hyper_parameters: Mapping[str, bool | int | float | str] | None = None,
    ) -> None:
        """Opens a new file.

        Args:
          directory: where; it is made if it is missing.
          resumed_update: TensorBoard hides what earlier files of the directory say about later updates; 0: nothing.
          hyper_parameters: what TensorBoard's dashboard of hyper-parameters shows of the run; None: nothing.

        Raises:
          PodmetaError: it could not be written.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.summary import hparams

        self._directory = directory
        with explained_write_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            name = f".from_{resumed_update}.{secrets.token_hex(4)}"  # no link can wait under it
            self._events = EventsWriter(str(directory / "events"), name)
            self._path = next(directory.glob(f"events*{name}"))
            if hyper_parameters:
                shown = dict.fromkeys(map(metric_tag, _METRICS_BESIDE_HYPER_PARAMETERS))
                experiment, start_of_session, _ = hparams(hyper_parameters, shown)
                for summary in (experiment, start_of_session):
                    self._events.write_event(Event(wall_time=time.time(), summary=summary))
            if resumed_update:
                start = SessionLog(status=SessionLog.START)
                self._events.write_event(Event(step=resumed_update + 1, session_log=start))
        self._next_flush = 0.0
        self._closed = False

    def write(self, update: int, scalars: Mapping[str, float]) -> None:
        """Writes numbers by tag.

        Raises:
          PodmetaError: the disk is full.
        """
        from tensorboardX.proto.summary_pb2 import Summary

        self._write(
            update, Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()])
        )

    def write_videos(self, update: int, videos: Mapping[str, bytes]) -> None:
        """Writes animated GIFs by tag, which TensorBoard plays among the images.

        Raises:
          PodmetaError: the disk is full.
        """
        from tensorboardX.proto.summary_pb2 import Summary

        for tag, video in videos.items():
            width, height = struct.unpack_from("<HH", video, _SIZE_IN_GIF)
            image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=video)
            self._write(update, Summary(value=[Summary.Value(tag=tag, image=image)]))

    def _write(self, update: int, summary: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with explained_write_errors(self._directory):
            self._events.write_event(Event(step=update, wall_time=time.time(), summary=summary))
            if time.monotonic() >= self._next_flush:
                self._events.flush()
                self._next_flush = time.monotonic() + _SECONDS_BETWEEN_FLUSHES

    def is_lost(self) -> bool:
        """Whether the file was deleted."""
        return not self._path.exists()

    def close(self) -> None:
        """Closes the file. May be called twice."""
        if not self._closed:
            self._closed = True
            with explained_write_errors(self._directory):
                self._events.close()

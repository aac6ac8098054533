"""Reads TensorBoard's event files without TensorBoard."""

import io
import struct
from pathlib import Path

from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData


def events(directory: Path) -> list[Event]:
    """All events, read straight from the TFRecord framing: length, its CRC, data, its CRC."""
    found = []
    for path in sorted(directory.glob("events*")):
        content, position = path.read_bytes(), 0
        while position < len(content):
            (length,) = struct.unpack_from("<Q", content, position)
            found.append(Event.FromString(content[position + 12 : position + 12 + length]))
            position += 12 + length + 4
    return found


def scalars_in(directory: Path) -> list[tuple[int, str, float]]:
    """(step, tag, value) of all scalars."""
    return [
        (event.step, value.tag, value.simple_value)
        for event in events(directory)
        for value in event.summary.value
        if not (value.HasField("metadata") or value.HasField("image"))
    ]


def videos_in(directory: Path) -> list[tuple[int, str, Image.Image]]:
    """(step, tag, animated GIF) of all videos."""
    found = []
    for event in events(directory):
        for value in event.summary.value:
            if value.HasField("image"):
                video = Image.open(io.BytesIO(value.image.encoded_image_string))
                assert (value.image.width, value.image.height) == video.size and video.format == "GIF"
                found.append((event.step, value.tag, video))
    return found


def hyper_parameters_in(directory: Path) -> list[dict]:
    """The hyper-parameters of every session, in the order of the files."""
    sessions = [
        HParamsPluginData.FromString(value.metadata.plugin_data.content).session_start_info.hparams
        for event in events(directory)
        for value in event.summary.value
        if value.tag == "_hparams_/session_start_info"
    ]
    return [{name: getattr(value, value.WhichOneof("kind")) for name, value in session.items()} for session in sessions]

"""Arrays as Orbax writes and reads them: in folders of any name, and never larger than what was saved."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorstore

from podmeta.errors import InputError, PodmetaError
from podmeta.storage.checkpoint_files import CheckpointMetadata, checksum_lines
from podmeta.storage.checkpoints import Checkpoints

TREE = {"outer": {"w": np.arange(3.0)}}
LARGE = 2**37  # a terabyte of doubles

NAMES = [
    "a[b]c",
    "[!a]",
    "*",
    "**",
    "a?b",
    "a\\b",
    "{a,b}",
    "gs:",
    "file:c",
    "a b",
    "a\nb",
    "a%20b",
    "ü",
    "a'\"b",
    "$A",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_no_pattern(tmp_path, name):
    checkpoints = Checkpoints(tmp_path / name / "checkpoints")
    for step in (1, 2):
        checkpoints.save(step, TREE, CheckpointMetadata(1.0))
    restored = checkpoints.restore_latest(TREE)
    assert restored is not None and (restored.step, restored.warnings) == (2, [])
    np.testing.assert_array_equal(restored.tree["outer"]["w"], TREE["outer"]["w"])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in checkpoints.directory.iterdir()] == ["step_00000002"]


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """The folder of a checkpoint that is to be changed, with its checksums, as somebody else could."""
    Checkpoints(tmp_path).save(1, TREE, CheckpointMetadata(1.0))
    return tmp_path / "step_00000001"


def claim(checkpoint: Path, in_manifest: bool, zarr: dict[str, list[int]]) -> None:
    """Has a checkpoint claim another shape, in its manifest or in what TensorStore reads."""
    manifest = checkpoint / "manifest.json"
    if in_manifest:
        content = json.loads(manifest.read_bytes())
        content["arrays"][0]["shape"] = [LARGE]
        manifest.write_text(json.dumps(content), encoding="utf-8")
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{checkpoint}/arrays/"}).result()
    described = json.loads(store["outer.w/.zarray"]) | zarr
    store["outer.w/.zarray"] = json.dumps(described).encode()
    (checkpoint / "SHA256SUMS").write_text("".join(checksum_lines(checkpoint)), encoding="utf-8")


def test_arrays_beyond_memory_are_refused(checkpoint):
    claim(checkpoint, True, {"shape": [LARGE], "chunks": [LARGE]})
    with pytest.raises(InputError, match=r"its arrays take 1,099\.5 GB\. podmeta reads at most half") as raised:
        Checkpoints(checkpoint.parent).restore_latest_arrays(("outer",))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("zarr", [{"shape": [LARGE]}, {"chunks": [LARGE]}, {"shape": [LARGE], "chunks": [LARGE]}])
def test_an_array_larger_than_the_manifest_says_is_not_read(checkpoint, zarr):
    claim(checkpoint, False, zarr)
    for restore in (
        lambda: Checkpoints(checkpoint.parent).restore_latest_arrays(("outer",)),
        lambda: Checkpoints(checkpoint.parent).restore_latest(TREE),
    ):
        with pytest.raises(PodmetaError, match=r"its array outer\.w is not the one that was saved"):
            restore()


def test_the_first_checkpoint_is_read_back(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    from podmeta.storage import checkpoints as module

    read = module.read_arrays
    monkeypatch.setattr(module, "read_arrays", lambda *arguments: 1 / 0)
    with pytest.raises(PodmetaError, match=r"could not be saved in .*: it was written, but cannot be read back: orbax"):
        checkpoints.save(1, TREE, CheckpointMetadata(1.0))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(module, "read_arrays", read)
    checkpoints.save(1, TREE, CheckpointMetadata(1.0))
    monkeypatch.setattr(module, "read_arrays", lambda *arguments: 1 / 0)
    checkpoints.save(2, TREE, CheckpointMetadata(1.0))  # only the first
    assert checkpoints.steps() == [2]

"""Arrays as Orbax writes and reads them: in folders of any name, and never larger than what was saved."""

import json
import resource
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorstore

from podmeta.errors import InputError, PodmetaError
from podmeta.storage.checkpoint_files import CheckpointMetadata, checksum_lines
from podmeta.storage.checkpoints import Checkpoints

TREE = {"outer": {"w": np.arange(3.0)}}
LARGE = 2**37  # a terabyte of doubles
BOMB_BYTES = 2**33

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


def change(checkpoint: Path, zarr: dict[str, object], chunk: bytes | None = None) -> None:
    """Changes what TensorStore reads of the array: its description, and its bytes as they are stored."""
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{checkpoint}/arrays/"}).result()
    store["outer.w/.zarray"] = json.dumps(json.loads(store["outer.w/.zarray"]) | zarr).encode()
    if chunk is not None:
        store["outer.w/0"] = chunk
    (checkpoint / "SHA256SUMS").write_text("".join(checksum_lines(checkpoint)), encoding="utf-8")


def claim(checkpoint: Path, in_manifest: bool, zarr: dict[str, object]) -> None:
    """Has a checkpoint claim another shape, in its manifest or in what TensorStore reads."""
    manifest = checkpoint / "manifest.json"
    if in_manifest:
        content = json.loads(manifest.read_bytes())
        content["arrays"][0]["shape"] = [LARGE]
        manifest.write_text(json.dumps(content), encoding="utf-8")
    change(checkpoint, zarr)


ZSTD = {"compressor": {"id": "zstd", "level": 1}}
FRAME = b"\x28\xb5\x2f\xfd\0" + bytes([(17 - 10) << 3])  # of Zstandard, with blocks of up to 128 KiB (RFC 8878, 3.1.1)


def zstd_block(num_bytes: int, content: bytes, is_repeated: bool, is_last: bool) -> bytes:
    """A block of a Zstandard frame that holds its content as it is, or one byte to repeat (RFC 8878, 3.1.1.2)."""
    return (num_bytes << 3 | is_repeated << 1 | is_last).to_bytes(3, "little") + content


def zstd_bomb(num_bytes: int) -> bytes:
    """A Zstandard frame of zeros."""
    size, num_blocks = 2**17, num_bytes // 2**17
    return FRAME + b"".join(
        zstd_block(size, b"\0", is_repeated=True, is_last=k == num_blocks - 1) for k in range(num_blocks)
    )


def restores(checkpoint: Path) -> tuple:
    """Both ways to restore a checkpoint."""
    checkpoints = Checkpoints(checkpoint.parent)
    return lambda: checkpoints.restore_latest_arrays(("outer",)), lambda: checkpoints.restore_latest(TREE)


def test_no_more_of_a_bomb_is_unpacked_than_the_array_holds(checkpoint):
    change(checkpoint, ZSTD, zstd_bomb(BOMB_BYTES))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for restore in restores(checkpoint):
        with pytest.raises(PodmetaError, match="its arrays cannot be read"):
            restore()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < BOMB_BYTES / 16


def test_the_checkpoint_before_a_bomb_is_read(checkpoint):
    checkpoints = Checkpoints(checkpoint.parent, keep=2)
    checkpoints.save(2, {"outer": {"w": np.ones(3)}}, CheckpointMetadata(2.0))
    change(checkpoint.with_name("step_00000002"), ZSTD, zstd_bomb(BOMB_BYTES))
    restored = checkpoints.restore_latest(TREE)
    assert restored is not None and restored.step == 1
    np.testing.assert_array_equal(restored.tree["outer"]["w"], TREE["outer"]["w"])
    (warning,) = restored.warnings
    assert "step_00000002" in warning and "its arrays cannot be read" in warning


def test_the_bomb_is_sound_but_for_its_size(checkpoint):
    """Otherwise the test above would show nothing."""
    Checkpoints(checkpoint.parent).save(1, {"outer": {"w": np.ones(2**14)}}, CheckpointMetadata(1.0))
    change(checkpoint, ZSTD, zstd_bomb(2**17))
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{checkpoint}/arrays/"}).result()
    array = tensorstore.open({"driver": "zarr", "kvstore": store.spec().to_json() | {"path": "outer.w/"}}).result()
    assert not array[:].read().result().any()


@pytest.mark.parametrize(
    "compressor",
    [
        {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 0},
        {"id": "zlib", "level": 1},
        {"id": "bz2", "level": 1},
    ],
    ids=lambda compressor: compressor["id"],
)
def test_arrays_compressed_in_another_way_are_not_read(checkpoint, compressor):
    """Blosc would unpack all of a chunk, and then find that it is too large."""
    change(checkpoint, {"compressor": compressor})
    for restore in restores(checkpoint):
        with pytest.raises(PodmetaError, match=r"its array outer\.w is compressed by something else"):
            restore()


def test_arrays_that_zstd_has_compressed_are_read(checkpoint):
    """Orbax compressed those of earlier checkpoints."""
    content = TREE["outer"]["w"].tobytes()
    change(checkpoint, ZSTD, FRAME + zstd_block(len(content), content, is_repeated=False, is_last=True))
    restored = Checkpoints(checkpoint.parent).restore_latest(TREE)
    assert restored is not None and restored.warnings == []
    np.testing.assert_array_equal(restored.tree["outer"]["w"], TREE["outer"]["w"])


@pytest.mark.parametrize("num_bytes", [8, 1024])
def test_arrays_of_another_size_are_not_read(checkpoint, num_bytes):
    change(checkpoint, {}, b"\0" * num_bytes)
    for restore in restores(checkpoint):
        with pytest.raises(PodmetaError, match="its arrays cannot be read"):
            restore()


@pytest.mark.parametrize("place", ["arrays/outer.w/.zarray", "arrays/outer.w/zarr.json"])
def test_arrays_beside_the_database_are_not_read(checkpoint, place):
    """Orbax would read them in place of those that were saved."""
    (checkpoint / place).parent.mkdir()
    (checkpoint / place).write_text("{}", encoding="utf-8")
    (checkpoint / "SHA256SUMS").write_text("".join(checksum_lines(checkpoint)), encoding="utf-8")
    for restore in restores(checkpoint):
        restored = restore()
        assert restored is not None
        np.testing.assert_array_equal(jax.tree.leaves(restored.tree)[0], TREE["outer"]["w"])


def test_arrays_beyond_memory_are_refused(checkpoint):
    claim(checkpoint, True, {"shape": [LARGE], "chunks": [LARGE]})
    with pytest.raises(InputError, match=r"takes 1,099\.5 GB or more\. podmeta reads at most half") as raised:
        Checkpoints(checkpoint.parent).restore_latest_arrays(("outer",))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("zarr", [{"shape": [LARGE]}, {"chunks": [LARGE]}, {"shape": [LARGE], "chunks": [LARGE]}])
def test_an_array_larger_than_the_manifest_says_is_not_read(checkpoint, zarr):
    claim(checkpoint, False, zarr)
    for restore in restores(checkpoint):
        with pytest.raises(PodmetaError, match=r"its array outer\.w is not the one that was saved"):
            restore()


def test_the_first_checkpoint_is_read_back(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    from podmeta.storage import checkpoints as module

    read = module.read_arrays
    monkeypatch.setattr(module, "read_arrays", lambda *arguments: 1 / 0)
    with pytest.raises(PodmetaError, match=r"could not be saved in .*: it was written, but cannot be read back: its"):
        checkpoints.save(1, TREE, CheckpointMetadata(1.0))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(module, "read_arrays", read)
    checkpoints.save(1, TREE, CheckpointMetadata(1.0))
    monkeypatch.setattr(module, "read_arrays", lambda *arguments: 1 / 0)
    checkpoints.save(2, TREE, CheckpointMetadata(1.0))  # only the first
    assert checkpoints.steps() == [2]

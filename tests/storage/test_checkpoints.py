"""Checkpoints against real faults: kills, damaged files, a full disk."""

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from podmeta.errors import InputError, PodmetaError
from podmeta.storage import checkpoint_files
from podmeta.storage import checkpoints as checkpoints_module
from podmeta.storage.checkpoint_files import CheckpointMetadata, checksum_lines, steps_in
from podmeta.storage.checkpoints import Checkpoints, meta_params_sha256

REPOSITORY = Path(__file__).parents[2]


def state_at(step: int) -> dict:
    """A state in which every value tells the step."""
    return {
        "weights": np.full((64, 32), step, np.float32),
        "nested": [np.full(5, step, np.int32), {"scalar": np.float64(step) + 1e-13}],
    }


def assert_same_bits(left, right) -> None:
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    """Checkpoints at steps 1 and 2, to be copied and damaged."""
    directory = tmp_path_factory.mktemp("pristine") / "checkpoints"
    checkpoints = Checkpoints(directory, keep=2)
    for step in (1, 2):
        checkpoints.save(step, state_at(step), CheckpointMetadata(10.0 * step))
    return directory


@pytest.fixture
def damaged(pristine, tmp_path) -> Path:
    return shutil.copytree(pristine, tmp_path / "checkpoints")


def files_of(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


# --- what is saved comes back ------------------------------------------------------------------------------------


def test_a_state_with_an_optimiser_comes_back_bit_for_bit(tmp_path):
    meta_params = {
        "lstm": {"w": jax.random.normal(jax.random.key(0), (7, 12)), "b": jnp.asarray([-0.0, jnp.nan, jnp.inf])},
        "half": jnp.asarray([1.5, -2.25], jnp.bfloat16),
        "without_elements": jnp.zeros((0, 3)),
        "double": np.float64(np.pi),
    }
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.linear_schedule(1.0, 0.1, 9)))
    state = (meta_params, optimiser.init(meta_params), None, np.uint32(2**32 - 1), np.asarray([True, False]))
    checkpoints = Checkpoints(tmp_path / "new" / "checkpoints", keep=1)
    checkpoints.save(12, state, CheckpointMetadata(0.5, ["a", "b"], "threefry2x32"))
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
    restored = checkpoints.restore_latest(target)
    assert (restored.step, restored.metadata, restored.warnings) == (
        12,
        CheckpointMetadata(0.5, ["a", "b"], "threefry2x32"),
        [],
    )
    assert_same_bits(restored.tree, state)
    assert meta_params_sha256(restored.tree[0]) == meta_params_sha256(meta_params)


def test_a_number_that_no_counter_holds_is_no_step(tmp_path):
    for name in ("step_00000012", f"step_{10**18 - 1}", f"step_{10**30}"):
        (tmp_path / name).mkdir()
    assert steps_in(tmp_path) == [12, 10**18 - 1]


def test_nothing_saved_is_none(tmp_path):
    assert Checkpoints(tmp_path / "absent").restore_latest(state_at(0)) is None


def test_the_last_ones_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (3, 20, 100):
        checkpoints.save(step, state_at(step), CheckpointMetadata(1.0))
    assert checkpoints.steps() == [20, 100]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["step_00000020", "step_00000100"]


def test_saving_a_step_again_replaces_it(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(5, state_at(4), CheckpointMetadata(1.0))
    checkpoints.save(5, state_at(5), CheckpointMetadata(2.0))
    restored = checkpoints.restore_latest(state_at(0))
    assert restored.metadata == CheckpointMetadata(2.0)
    assert_same_bits(restored.tree, state_at(5))
    assert [entry.name for entry in tmp_path.iterdir()] == ["step_00000005"]


def test_no_thread_is_left_and_nothing_is_logged(tmp_path, caplog):
    before = threading.active_count()
    with caplog.at_level("DEBUG"):
        Checkpoints(tmp_path).save(1, state_at(1), CheckpointMetadata(1.0))
        Checkpoints(tmp_path).restore_latest(state_at(0))
    assert threading.active_count() == before
    assert [record for record in caplog.records if record.name == "absl"] == []


def test_the_first_checkpoint_from_each_multiple_on_is_kept_for_good(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2, keep_every=10)
    for step in (3, 9, 12, 15, 30, 31, 32, 39, 45, 46):
        checkpoints.save(step, {"array": np.zeros(1)}, CheckpointMetadata(1.0))
    assert checkpoints.steps() == [12, 30, 45, 46]


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_none_is_refused(tmp_path, keep):
    with pytest.raises(InputError, match=r"checkpoint\.keep"):
        Checkpoints(tmp_path, keep)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state | {"weights": np.zeros((64, 33), np.float32)}, r"weights.*\[64, 32\].*\[64, 33\]"),
        (lambda state: state | {"weights": np.zeros((64, 32), np.int8)}, r"weights.*float32.*int8"),
        (lambda state: state | {"more": np.zeros(2)}, r"more.*absent there"),
        (lambda state: {"weights": state["weights"]}, r"nested.*absent now"),
    ],
    ids=["shape", "dtype", "more", "less"],
)
def test_a_target_of_another_config_is_told(pristine, change, told):
    with pytest.raises(InputError, match=told):
        Checkpoints(pristine).restore_latest(change(state_at(0)))


# --- damage ------------------------------------------------------------------------------------------------------


def flip_bit(path: Path, position: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def test_one_flipped_bit_anywhere_is_told(damaged):
    """With no other checkpoint to fall back on, so that every flip must surface as an error."""
    shutil.rmtree(damaged / "step_00000001")
    checkpoints = Checkpoints(damaged)
    random = np.random.default_rng(0)
    for path in files_of(damaged):
        content = path.read_bytes()
        for position in random.integers(len(content), size=25):
            flip_bit(path, position, random.integers(8))
            with pytest.raises(PodmetaError, match=r"step_00000002 is broken"):
                checkpoints.restore_latest(state_at(0))
            path.write_bytes(content)
    assert_same_bits(checkpoints.restore_latest(state_at(0)).tree, state_at(2))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    flip_bit(path, path.stat().st_size // 3, 0)


@pytest.mark.parametrize("damage", [empty, truncate, flip, Path.unlink])
def test_any_damaged_file_falls_back_to_the_newest_good_one(damaged, pristine, damage):
    for path in files_of(damaged / "step_00000002"):
        damage(path)
        restored = Checkpoints(damaged).restore_latest(state_at(0))
        assert (restored.step, restored.metadata) == (1, CheckpointMetadata(10.0))
        assert_same_bits(restored.tree, state_at(1))
        [warning] = restored.warnings
        assert "step_00000002" in warning
        if path.name != "SHA256SUMS":
            assert path.name in warning
        shutil.copy(pristine / path.relative_to(damaged), path)


def test_an_added_file_an_emptied_folder_and_a_renamed_one_are_told(damaged):
    (damaged / "step_00000002" / "arrays" / "added").write_text("", encoding="utf-8")
    shutil.copytree(damaged / "step_00000001", damaged / "step_00000003")
    (damaged / "step_00000004").mkdir()
    (damaged / "step_00000005").write_text("a file", encoding="utf-8")
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert restored.step == 1
    assert [warning.split("step_0000000")[1][0] for warning in restored.warnings] == ["5", "4", "3", "2"]
    assert "manifest is of step 1" in restored.warnings[2]


@pytest.mark.parametrize("name", ["", "manifest.json", "SHA256SUMS", "arrays", "arrays/d", "arrays/manifest.ocdbt"])
def test_a_checkpoint_with_a_link_is_passed_over(damaged, tmp_path, name):
    """Also where its checksums are of what can be seen without following the link."""
    step = damaged / "step_00000002"
    path, seen = step / name, step / "SHA256SUMS"
    path.rename(tmp_path / "elsewhere")
    if name.startswith("arrays"):
        lines = [line for line in seen.read_text(encoding="utf-8").splitlines(keepends=True) if f"  {name}" not in line]
        seen.write_text("".join(lines), encoding="utf-8")
    path.symlink_to(tmp_path / "elsewhere")
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert restored.step == 1 and len(restored.warnings) == 1
    assert "It is a link" in restored.warnings[0] and restored.warnings[0].endswith(name and f"/{name}")


@pytest.mark.parametrize("change", ["deleted", "changed", "a link"])
def test_what_is_read_is_what_was_checked(damaged, monkeypatch, tmp_path, change):
    """Files change once their checksums have been checked."""
    folder = damaged / "step_00000002" / "arrays"
    read = checkpoints_module.read_arrays

    def change_and_read(*arguments):
        shutil.rmtree(folder)
        if change == "changed":
            shutil.copytree(damaged / "step_00000001" / "arrays", folder)
        elif change == "a link":
            folder.symlink_to(damaged / "step_00000001" / "arrays")
        return read(*arguments)

    monkeypatch.setattr(checkpoints_module, "read_arrays", change_and_read)
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert (restored.step, restored.warnings) == (2, [])
    assert_same_bits(restored.tree, state_at(2))


@pytest.mark.parametrize("name", ["arrays", "", ".."])
def test_a_folder_that_becomes_a_link_while_it_is_checked_is_not_followed(damaged, monkeypatch, tmp_path, name):
    """The link leads to a copy whose files are right, but which the reader must not open."""
    step = damaged / "step_00000002"
    folder, elsewhere, opened = Path(os.path.normpath(step / name)), tmp_path / "elsewhere", []
    shutil.copytree(folder, elsewhere)
    open_data = checkpoint_files.open_data

    def swap_and_open(path, *arguments):
        if path.parent.name == "arrays" and not folder.is_symlink():
            folder.rename(tmp_path / "moved")
            folder.symlink_to(elsewhere)
        file = open_data(path, *arguments)
        opened.append(os.path.realpath(f"/proc/self/fd/{file.fileno()}"))
        return file

    monkeypatch.setattr(checkpoint_files, "open_data", swap_and_open)
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert_same_bits(restored.tree, state_at(restored.step))
    assert folder.is_symlink() and not any(path.startswith(str(elsewhere)) for path in opened)


def test_folders_beyond_a_depth_are_no_checkpoint(damaged):
    deep = damaged / "step_00000002" / "/".join(["a"] * 30)
    deep.mkdir(parents=True)
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert restored.step == 1 and "too many folders deep" in restored.warnings[0]


def test_a_checkpoint_larger_than_half_of_the_memory_is_not_read(damaged, monkeypatch):
    monkeypatch.setattr(checkpoint_files, "most_array_bytes", lambda: 2000)
    with pytest.raises(InputError, match=r"step_00000002 takes .* GB or more\. podmeta reads at most half of this"):
        Checkpoints(damaged).restore_latest(state_at(0))


def test_reads_that_a_damage_has_ended_print_nothing(damaged, monkeypatch):
    """With checksums that fit, so that TensorStore meets the damage, and every array waits for the damaged file."""
    step, said = damaged / "step_00000002", []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    content = (step / "arrays" / "manifest.ocdbt").read_bytes()
    (step / "arrays" / "manifest.ocdbt").write_bytes(content[:20] + b"\xff\xfe" + content[20:])
    (step / "SHA256SUMS").write_text("".join(checksum_lines(step)), encoding="utf-8")
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert restored.step == 1 and len(restored.warnings[0]) < 1000
    time.sleep(0.5)  # TensorStore's threads end their reads
    assert said == []


def test_damaged_metadata_falls_back_to_the_checkpoint_before(damaged):
    manifest = damaged / "step_00000002" / "manifest.json"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace('"seconds": 20.0', '"seconds": "x"'), encoding="utf-8"
    )
    (manifest.parent / "SHA256SUMS").write_text("".join(checksum_lines(manifest.parent)), encoding="utf-8")
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert restored.step == 1 and "seconds is a text" in restored.warnings[0]


def test_links_that_wait_for_a_checkpoint_are_not_followed(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_text("mine", encoding="utf-8")
    directory = tmp_path / "checkpoints"
    directory.mkdir()
    for name in (".tmp-step_00000001", ".tmp-step_00000002", ".replaced-step_00000001"):
        (directory / name).symlink_to(mine)
    Checkpoints(directory).save(1, state_at(1), CheckpointMetadata(1.0))
    assert [path.name for path in mine.iterdir()] == ["file"]
    assert Checkpoints(directory).restore_latest(state_at(0)).step == 1


def test_content_that_orbax_got_wrong_is_told_by_the_second_checksum(damaged):
    """The files are as their checksums say, and yet hold other values than the manifest tells."""
    step = damaged / "step_00000002"
    shutil.rmtree(step / "arrays")
    shutil.copytree(damaged / "step_00000001" / "arrays", step / "arrays")
    (step / "SHA256SUMS").write_text("".join(checksum_lines(step)), encoding="utf-8")
    restored = Checkpoints(damaged).restore_latest(state_at(0))
    assert restored.step == 1
    assert "differs from what was saved" in restored.warnings[0]


def test_all_broken_is_an_error_and_never_a_fresh_start(damaged):
    for path in damaged.glob("step_*/manifest.json"):
        path.unlink()
    with pytest.raises(InputError, match=r"no checkpoint in .* is good") as caught:
        Checkpoints(damaged).restore_latest(state_at(0))
    assert "step_00000001" in str(caught.value) and "step_00000002" in str(caught.value)


def test_a_failed_save_names_the_newest_good_checkpoint_as_intact(damaged):
    flip(damaged / "step_00000002" / "manifest.json")
    (damaged / "step_00000003").write_text("in the way", encoding="utf-8")
    (damaged / ".replaced-step_00000003").mkdir()  # a file cannot be renamed onto a folder
    checkpoints = Checkpoints(damaged)
    checkpoints.restore_latest(state_at(0))
    with pytest.raises(PodmetaError, match="step_00000001 is intact"):
        checkpoints.save(3, state_at(3), CheckpointMetadata(1.0))


@pytest.mark.parametrize("keep", [1, 2])
def test_broken_checkpoints_do_not_count_among_those_kept(damaged, keep):
    flip(damaged / "step_00000002" / "manifest.json")
    checkpoints = Checkpoints(damaged, keep)
    assert checkpoints.restore_latest(state_at(0)).step == 1
    checkpoints.save(3, state_at(3), CheckpointMetadata(1.0))
    assert checkpoints.steps() == ([3] if keep == 1 else [1, 3])


def test_the_files_check_with_sha256sum(pristine):
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=pristine / "step_00000002",
        check=True,
        capture_output=True,
    )


# --- kills -------------------------------------------------------------------------------------------------------


def save_for_ever(directory: Path, first_step: int, done: socket.socket) -> None:
    """Saves every step twice, for replacing must survive a kill too, and tells of each that is done."""
    checkpoints = Checkpoints(directory, keep=1)
    checkpoints.recover()
    step = first_step
    while True:
        checkpoints.save(step, state_at(step), CheckpointMetadata(float(step)))
        done.send(step.to_bytes(4, "big"))
        checkpoints.save(step, state_at(step), CheckpointMetadata(float(step)))
        step += 1


@pytest.mark.long
def test_a_kill_at_any_moment_leaves_the_last_checkpoint_whole(tmp_path):
    """Kills a saving process again and again, each time on what the one before has left."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["podmeta.storage.checkpoints"])
    random = np.random.default_rng(0)
    first_step, leftovers = 1, 0
    for _ in range(8):
        ours, theirs = socket.socketpair()
        saver = context.Process(target=save_for_ever, args=(tmp_path, first_step, theirs), daemon=True)
        saver.start()
        theirs.close()
        done = ours.recv(4)
        assert done, "the saver ended before its first checkpoint"
        time.sleep(random.uniform(0, 0.1))
        os.kill(saver.pid, signal.SIGKILL)
        saver.join()
        while received := ours.recv(4):
            done = received
        ours.close()

        names = [entry.name for entry in tmp_path.iterdir()]
        leftovers += any(name.startswith(".") for name in names)
        checkpoints = Checkpoints(tmp_path, keep=1)
        checkpoints.recover()
        assert all(entry.name.startswith("step_") for entry in tmp_path.iterdir())
        restored = checkpoints.restore_latest(state_at(0))
        assert restored.warnings == []
        assert restored.step >= int.from_bytes(done, "big")
        assert restored.metadata == CheckpointMetadata(float(restored.step))
        assert_same_bits(restored.tree, state_at(restored.step))
        first_step = restored.step + 1
    assert leftovers > 0, "no kill came in the middle of a save: the test shows nothing"


def test_a_kill_between_the_two_renames_of_a_replacement_is_put_right(damaged):
    (damaged / "step_00000002").rename(damaged / ".replaced-step_00000002")
    shutil.copytree(damaged / "step_00000001", damaged / ".replaced-step_00000001")
    (damaged / ".tmp-step_00000002").mkdir()
    checkpoints = Checkpoints(damaged)
    checkpoints.recover()
    assert sorted(entry.name for entry in damaged.iterdir()) == ["step_00000001", "step_00000002"]
    assert checkpoints.restore_latest(state_at(0)).step == 2


# --- the disk ----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_full_disk_is_told_in_one_line_and_the_last_checkpoint_stays(tmp_path):
    """On a file system of 256 kB of its own, in a mount namespace that ends with the process.

    With 20 arrays, for the writes that fail after the first one are those that used to print tracebacks.
    """
    in_namespace = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*in_namespace, "true"], capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    script = textwrap.dedent(
        """
        import shutil, sys
        import numpy as np
        from pathlib import Path
        from podmeta.errors import InputError, PodmetaError
        from podmeta.storage.checkpoint_files import CheckpointMetadata
        from podmeta.storage.checkpoints import Checkpoints

        directory = Path(sys.argv[1]) / "checkpoints"
        checkpoints = Checkpoints(directory, keep=2)
        small = {"a": np.arange(10.0)}
        random = np.random.default_rng(0)
        checkpoints.save(1, small, CheckpointMetadata(1.0))
        good = 1
        # Sizes that are much too large, or just.
        failures = 0
        for kilobytes in [1000, *range(240, 100, -4)]:
            tree = {str(i): random.integers(0, 255, kilobytes * 50, np.uint8) for i in range(20)}
            try:
                checkpoints.save(good + 1, tree, CheckpointMetadata(1.0))
            except PodmetaError as error:
                failures += 1
                assert not isinstance(error, InputError)
                assert "the disk is full" in str(error), error
                assert f"step_{good:08d} is intact" in str(error), error
                assert [e.name for e in directory.iterdir()] == [f"step_{good:08d}"], list(directory.iterdir())
                restored = checkpoints.restore_latest(small)
                assert restored.step == good and not restored.warnings
                np.testing.assert_array_equal(restored.tree["a"], small["a"])
            else:
                shutil.rmtree(directory / f"step_{good + 1:08d}")
                break
        assert failures >= 5
        # The space is free again: the next save works.
        checkpoints.save(good + 1, small, CheckpointMetadata(1.0))
        """
    )
    command = 'mount -t tmpfs -o size=256k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    result = subprocess.run(
        [*in_namespace, "sh", "-c", command, "sh", str(tmp_path), sys.executable, script],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},  # libtpu, where it is installed, complains that there is no TPU
        capture_output=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(PodmetaError, match="could not be saved"):
        Checkpoints(tmp_path / "file" / "checkpoints").save(1, state_at(1), CheckpointMetadata(1.0))


# --- one process of many -----------------------------------------------------------------------------------------


@pytest.mark.long
def test_in_a_distributed_job_one_process_saves_and_each_restores_alone(tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        import jax, numpy as np
        from podmeta.storage.checkpoint_files import CheckpointMetadata
        from podmeta.storage.checkpoints import Checkpoints

        address, process, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
        jax.distributed.initialize(address, num_processes=2, process_id=process)
        jax.devices()  # all processes meet here
        checkpoints = Checkpoints(directory)
        if process == 0:
            checkpoints.save(1, {"a": np.arange(3)}, CheckpointMetadata(1.0))
            while not (directory / "restored").exists():  # it does not take part in the other's restore
                time.sleep(0.01)
        else:
            while not checkpoints.steps():  # nor the other in its save
                time.sleep(0.01)
            print(checkpoints.restore_latest({"a": np.zeros(3, int)}).tree["a"].tolist(), flush=True)
            try:
                checkpoints.save(2, {"a": np.arange(3)}, CheckpointMetadata(1.0))
            except ValueError:
                (directory / "restored").touch()
        jax.distributed.shutdown()
        """
    )
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, address, str(process), str(tmp_path / "checkpoints")],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for process in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert json.loads(outputs[1][0]) == [0, 1, 2]


# --- θ's digest --------------------------------------------------------------------------------------------------


def test_the_digest_of_meta_params_depends_on_values_alone():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    digest = meta_params_sha256({"w": jnp.asarray(values), "b": np.float32(1)})
    assert digest == meta_params_sha256({"b": np.ones((), ">f4"), "w": np.asfortranarray(values.astype(">f4"))})
    changed = values.copy()
    changed[1, 2] = np.nextafter(changed[1, 2], np.float32(9))
    assert digest != meta_params_sha256({"w": changed, "b": np.float32(1)})

"""What all tests share: four CPU devices, checked array shapes, few examples, compiled programs that are kept.

Environment variables make this machine resemble another. `make test-portable` uses them, and with each the tests pass:

    PODMETA_TEST_SHIFT=1e-6   multiplies every parameter of every shipped θ by 1 + 1e-6 or 1 - 1e-6, as if another CPU
                              had trained it. The tests run in a copy of the checkout, so that every process loads it
    PODMETA_TEST_XLA_FLAGS=…  are added to XLA's flags, in every process. --xla_cpu_enable_fast_math=true rounds
                              differently almost everywhere, and --xla_cpu_use_fusion_emitters=true compiles as users do
    PODMETA_TEST_CORES=1      keeps each worker of pytest, and all that it starts, to one core: one thread in XLA
    PODMETA_TEST_SEED=1       is added to every seed in the documents whose Python the tests run

PODMETA_TEST_MUTATIONS=2000 damages the files of a run that many times in tests/end_to_end/test_damaged_runs.py.
PODMETA_TEST_MESSAGES=FILE appends the message of every error about the user's input to a file, for somebody to read.
"""

import contextlib
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest
from hypothesis import HealthCheck, Phase, settings
from jaxtyping import install_import_hook

from tests import object_store, portable

# Its import closes every handler of logging, and with absl's the stream that pytest captures: so before absl has one.
with contextlib.suppress(ImportError):
    import submitit  # noqa: F401

REPOSITORY = Path(__file__).parents[1]

os.environ["XLA_FLAGS"] = f"{portable.QUICK_TO_COMPILE} {os.environ.get('PODMETA_TEST_XLA_FLAGS', '')}".strip()
if "PODMETA_TEST_CORES" in os.environ:
    portable.keep_to_one_core(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))

# Both must come first: JAX reads its settings once, and modules are checked as they are imported.
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
# An int will do for a float, as it does for mypy (PEP 484's numeric tower).
install_import_hook("podmeta", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

# An example often compiles a program, which takes seconds, so there are few of them and none has a deadline.
settings.register_profile(
    "podmeta",
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("podmeta")

if "PODMETA_TEST_MESSAGES" in os.environ:
    portable.keep_messages(Path(os.environ["PODMETA_TEST_MESSAGES"]).resolve())


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lets go of compiled programs: each holds hundreds of memory maps, of which Linux allows a process 65,530."""
    yield
    for value in vars(request.module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text(encoding="utf-8").count("\n") > 20_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def run_document(tmp_path: Path) -> Callable[[Path], str]:
    """Runs all Python of a Markdown file as one program, in a process of its own; returns what it printed."""

    def run(path: Path) -> str:
        program = portable.python_of(path)
        if "PODMETA_TEST_SEED" in os.environ:
            program = portable.reseed(program, int(os.environ["PODMETA_TEST_SEED"]))
        script = tmp_path / "document.py"
        script.write_text(program, encoding="utf-8")
        finished = subprocess.run([sys.executable, str(script)], capture_output=True, encoding="utf-8", cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def pytest_configure(config: pytest.Config) -> None:
    # beartype looks at random elements of a list, also where hypothesis builds a config.
    config.addinivalue_line("filterwarnings", "ignore:Do not use the `random` module inside strategies")
    # OmegaConf's annotations are not ours to bring up to date.
    config.addinivalue_line("filterwarnings", "ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")
    # Nothing of the developer's is used, and nothing of theirs changes: neither their key nor their compiled programs.
    own = tempfile.TemporaryDirectory(prefix="podmeta-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(own.cleanup)
    os.environ["XDG_STATE_HOME"] = own.name
    keeps = config.pluginmanager.has_plugin("cacheprovider")  # -p no:cacheprovider compiles everything anew
    compiled = config.cache.mkdir("compiled") if keeps else Path(own.name, "compiled")
    jax.config.update("jax_compilation_cache_dir", str(compiled))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Runs the tests in a copy of the checkout where PODMETA_TEST_SHIFT asks for it."""
    if "PODMETA_TEST_SHIFT" not in os.environ:
        return None
    shift = float(os.environ.pop("PODMETA_TEST_SHIFT"))  # popped, so that the tests of the copy do not do it again
    with tempfile.TemporaryDirectory() as folder:
        portable.copy_repository(REPOSITORY, Path(folder))
        portable.shift_pretrained(Path(folder) / "podmeta" / "pretrained", shift)
        return portable.run_pytest_in(Path(folder), config.invocation_params.args)


def pytest_report_header() -> list[str]:
    """What of another machine is in force."""
    asked = {name: value for name, value in os.environ.items() if name.startswith("PODMETA_TEST_")}
    return [f"{name}={value}" for name, value in asked.items()]


@pytest.fixture(scope="session")
def store_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server of an object store, which all tests share. Without moto and s3fs, they are skipped."""
    with object_store.served(tmp_path_factory.mktemp("moto") / "log") as port:
        yield port


@pytest.fixture
def store(store_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object_store.Store]:
    """An empty object store, which this process reaches, and a cache that holds no copies of runs in it."""
    with object_store.empty_store(store_port) as store:
        for name, value in store.variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield store

"""What all tests share: four CPU devices, checked array shapes, few examples, compiled programs that are kept."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from hypothesis import HealthCheck, Phase, settings
from jaxtyping import install_import_hook

# LLVM takes longer to optimise most programs of the tests than they take to run. What XLA makes of them is the same.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

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


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lets go of compiled programs: each holds hundreds of memory maps, of which Linux allows a process 65,530."""
    yield
    for value in vars(request.module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 20_000:
        jax.clear_caches()
        gc.collect()


def pytest_configure(config: pytest.Config) -> None:
    # beartype looks at random elements of a list, also where hypothesis builds a config.
    config.addinivalue_line("filterwarnings", "ignore:Do not use the `random` module inside strategies")
    # OmegaConf's annotations are not ours to bring up to date.
    config.addinivalue_line("filterwarnings", "ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")
    if config.pluginmanager.has_plugin("cacheprovider"):  # -p no:cacheprovider compiles everything anew
        jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

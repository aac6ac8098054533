"""What is said where the devices are not what a job needs."""

import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from podmeta.distributed.devices import divide, explained_memory_errors, join, set_up_devices
from podmeta.errors import InputError, PodmetaError

REPOSITORY = Path(__file__).parents[2]


def test_too_little_memory_is_explained():
    with (
        pytest.raises(PodmetaError, match=r"too little memory \(RESOURCE_EXHAUSTED.*\): take fewer members"),
        explained_memory_errors(),
    ):
        jnp.zeros(2**46).block_until_ready()


def test_any_other_error_is_left_alone():
    with pytest.raises(ZeroDivisionError), explained_memory_errors():
        raise ZeroDivisionError


def test_the_number_of_devices_cannot_change_once_jax_has_started():
    set_up_devices(4)  # as the tests have set up
    with pytest.raises(InputError, match=r"devices\.cpu=3, but JAX had started with 4 devices"):
        set_up_devices(3)


def test_a_platform_that_is_not_there_is_named_with_the_cure():
    script = "from podmeta.distributed.devices import set_up_devices\nset_up_devices(0)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "abacus"},
        capture_output=True,
        encoding="utf-8",
    )
    said = done.stderr.splitlines()[-1]
    assert "InputError" in said and "JAX_PLATFORMS=abacus finds no device" in said
    assert "JAX_PLATFORMS=cpu" in said


@pytest.mark.parametrize("shape", [(8,), (8, 3), (8, 0), (8, 2, 0)])
def test_rows_are_divided_over_devices_and_joined_again_also_where_they_are_empty(shape):
    """Empty rows are met where a task has a part that may be missing, such as the inner walls of a grid-world."""
    whole = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    divided = divide(whole, "devices", 4)
    assert divided.shape == (4, 2, *shape[1:])
    np.testing.assert_array_equal(divided[1], whole[2:4])
    np.testing.assert_array_equal(join(divided), whole)

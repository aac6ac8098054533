"""The memory that a process says it takes."""

import sys
import types

import jax
import numpy as np
import pytest

from podmeta.distributed.memory import DEVICE_MEMORY, HOST_MEMORY, memory_metrics


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_host_memory_grows_by_what_is_allocated_and_touched():
    before = memory_metrics()[HOST_MEMORY]
    block = np.ones(100_000_000, np.uint8)
    grown = memory_metrics()[HOST_MEMORY] - before
    assert 0.8 * block.nbytes < grown < 2 * block.nbytes


def test_device_memory_is_that_of_the_fullest_device_that_tells(monkeypatch):
    stats = [None, {"bytes_in_use": 5}, {"bytes_in_use": 7}, {}]
    devices = [types.SimpleNamespace(memory_stats=lambda each=each: each) for each in stats]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    assert memory_metrics()[DEVICE_MEMORY] == 7.0
    monkeypatch.setattr(jax, "local_devices", lambda: devices[:1])
    assert np.isnan(memory_metrics()[DEVICE_MEMORY])

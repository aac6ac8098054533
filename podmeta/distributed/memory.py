"""How much memory this process takes, on its host and on its devices."""

import mmap
from pathlib import Path

import jax

HOST_MEMORY, DEVICE_MEMORY = "host_memory_bytes_max", "device_memory_bytes_max"
"""The metrics; the largest of all processes, and of all devices."""


def memory_metrics() -> dict[str, float]:
    """Bytes of memory that this process takes now; NaN where they are not known.

    Host memory is the resident set, which Linux tells. Device memory is what JAX has allocated on the fullest device of
    this process; CPU devices do not tell it. Child processes of host environments are left out.
    """
    in_use = [(device.memory_stats() or {}).get("bytes_in_use") for device in jax.local_devices()]
    known = [float(num_bytes) for num_bytes in in_use if num_bytes is not None]
    return {HOST_MEMORY: _resident_bytes(), DEVICE_MEMORY: max(known, default=float("nan"))}


def _resident_bytes() -> float:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
        return float(int(pages[1]) * mmap.PAGESIZE)
    except (OSError, ValueError, IndexError):  # another system
        return float("nan")

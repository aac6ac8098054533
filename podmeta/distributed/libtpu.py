"""libtpu on a machine without a TPU, where the `tpu` extra may be installed too.

Free of JAX: libtpu reads its variables when JAX loads it.
"""

import os
from pathlib import Path

WITHOUT_A_TPU = {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_ACCELERATOR_TYPE": "v5litepod-16"}
"""What libtpu would ask the machine about its TPU, and complain that it cannot know. Any valid answer will do."""


def quieten_libtpu(devices: Path = Path("/dev")) -> None:
    """Keeps libtpu from printing that it finds no TPU, on a machine that has none.

    Where there may be a TPU, or JAX_FORCE_TPU_INIT says that there will be, nothing changes.

    Args:
      devices: the folder in which the kernel shows a TPU, as accel0 or vfio/0.
    """
    shown = any(next(devices.glob(pattern), None) for pattern in ("accel*", "vfio/[0-9]*"))
    if not shown and "JAX_FORCE_TPU_INIT" not in os.environ:
        for name, value in WITHOUT_A_TPU.items():
            os.environ.setdefault(name, value)

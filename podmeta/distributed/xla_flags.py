"""XLA's flags that a job asks for. XLA reads them once, when JAX first touches a device."""

import os

from podmeta.errors import InputError

DETERMINISTIC = "--xla_gpu_deterministic_ops"


def use_deterministic_operations() -> None:
    """Has XLA use only operations on GPUs that return the same bits each time, and choose them without timing them.

    It adds a flag to `XLA_FLAGS`, which `environment.json` records. CPUs and TPUs need none, and ignore it.

    Raises:
      InputError: the flags of the environment forbid it.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    chosen = [flag for flag in flags if flag.partition("=")[0] == DETERMINISTIC]
    if any(flag.partition("=")[2].lower() in ("false", "0") for flag in chosen):
        raise InputError(
            f"numerics.deterministic=true, but XLA_FLAGS has {chosen[-1]}: take that out, or set "
            "numerics.deterministic=false"
        )
    if not chosen:
        os.environ["XLA_FLAGS"] = " ".join([*flags, f"{DETERMINISTIC}=true"])

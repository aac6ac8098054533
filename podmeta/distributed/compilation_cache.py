"""The cache of compiled programs, with which a second start compiles nothing."""

import os
import tempfile
from pathlib import Path

import jax

from podmeta.storage.files import reason


def use_compilation_cache(setting: str) -> list[str]:
    """Sets JAX's folder for compiled programs. Call it before anything is compiled.

    Args:
      setting: the config's `compilation_cache_dir`. `auto` is the directory that JAX knows already
        (such as by JAX_COMPILATION_CACHE_DIR), else podmeta's own in the user's cache; `off` is none; anything
        else is a path.

    Returns:
      Warnings to show. A directory that cannot be written is not an error, because it only costs time.
    """
    if setting == "off":
        jax.config.update("jax_enable_compilation_cache", False)
        return []
    directory = _directory(setting)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        jax.config.update("jax_enable_compilation_cache", False)
        return [
            f"compilation_cache_dir {directory} cannot be written ({reason(error)}): compiled programs are not kept."
        ]
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return []


def _directory(setting: str) -> Path:
    if setting != "auto":
        return Path(setting).expanduser().absolute()
    configured: str | None = jax.config.values["jax_compilation_cache_dir"]
    if configured:
        return Path(configured)
    user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(user_cache).expanduser() / "podmeta" / "jax"

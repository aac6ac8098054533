"""podmeta meta-trains reinforcement learning algorithms on the Podracer architectures."""

TYPE_CHECKING = False  # what type checkers take for True; the module `typing` would take longer to import than this one
if TYPE_CHECKING:
    from podmeta.agent import load_agent
    from podmeta.environments.bridge.from_gymnasium import from_gymnasium
    from podmeta.runs import compose, load_run, train

__all__ = ["__version__", "compose", "from_gymnasium", "load_agent", "load_run", "train"]

__version__ = "0.1.0"

_MODULES = {
    "compose": "podmeta.runs",
    "from_gymnasium": "podmeta.environments.bridge.from_gymnasium",
    "load_agent": "podmeta.agent",
    "load_run": "podmeta.runs",
    "train": "podmeta.runs",
}


def __getattr__(name: str) -> object:
    """Imports a public name on first use: `import podmeta` alone must not import JAX."""
    if name not in _MODULES:
        raise AttributeError(f"module 'podmeta' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__

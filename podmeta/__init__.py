"""podmeta meta-trains reinforcement learning algorithms on the Podracer architectures."""

TYPE_CHECKING = False  # what type checkers take for True; the module `typing` would take longer to import than this one
if TYPE_CHECKING:
    from podmeta.agent import load_agent
    from podmeta.environments.bridge.from_gymnasium import from_gymnasium

__all__ = ["__version__", "from_gymnasium", "load_agent"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """What a user calls, imported when it is asked for: `import podmeta` by itself must not bring JAX."""
    if name == "load_agent":
        from podmeta.agent import load_agent

        return load_agent
    if name == "from_gymnasium":
        from podmeta.environments.bridge.from_gymnasium import from_gymnasium

        return from_gymnasium
    raise AttributeError(f"module 'podmeta' has no attribute {name!r}")

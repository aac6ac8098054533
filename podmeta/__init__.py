"""podmeta meta-trains reinforcement learning algorithms on the Podracer architectures."""

__version__ = "0.1.0"

"""`podmeta play`: runs a learned algorithm for one lifetime in an environment, and plots its rewards."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dm_env
import numpy as np
from jaxtyping import Bool, Float
from rich.console import Console

from podmeta.agent import LearnedAlgorithm
from podmeta.config.schema import EnvironmentConfig, HostEnvironmentConfig
from podmeta.environments.bridge.as_dm_env import DmEnvAdapter
from podmeta.environments.host.patience import TIMEOUT_S
from podmeta.environments.registry import make_environment
from podmeta.evaluation.terminal_chart import bar_chart, binned
from podmeta.storage.files import write_atomically

_NUM_BARS, _BAR_WIDTH = 20, 3


class PlayedLifetime(NamedTuple):
    """The rewards and episode ends of one lifetime, by env step.

    Attributes:
      rewards: [lifetime_length] what the action earned; 0 at a reset.
      episode_ends: [lifetime_length] whether the action ended an episode.
      terminations: [lifetime_length] whether it did so by termination, and not by truncation.
    """

    rewards: Float[np.ndarray, "lifetime_length"]
    episode_ends: Bool[np.ndarray, "lifetime_length"]
    terminations: Bool[np.ndarray, "lifetime_length"]


@contextlib.contextmanager
def open_dm_environment(
    config: EnvironmentConfig, seed: int, timeout_s: float = TIMEOUT_S
) -> Iterator[dm_env.Environment]:
    """The environment of a config, in its transforms, with dm_env's interface. It is closed at the end of the block.

    Args:
      config: its config.
      seed: of its lifetime.
      timeout_s: how long an environment on the host may take to be made, to answer and to be closed.

    Raises:
      InputError: a key of the config does not fit the environment.
      PodmetaError: an environment on the host did not answer in time.
    """
    if isinstance(config, HostEnvironmentConfig):
        # The adapters of all sources are imported only where one of them is asked for.
        from podmeta.environments.bridge.host_as_dm_env import HostAsDmEnv
        from podmeta.environments.host.registry import patient_host_environment

        with patient_host_environment(config, 1, timeout_s) as environment:
            yield HostAsDmEnv(environment, seed)
    else:
        yield DmEnvAdapter(make_environment(config), seed)


def play(
    algorithm: LearnedAlgorithm, environment: dm_env.Environment, lifetime_length: int, seed: int
) -> PlayedLifetime:
    """Lives one lifetime.

    Args:
      algorithm: what learns.
      environment: where. Its steps follow dm_env's contract at episode ends.
      lifetime_length: env steps; a reset is one, too.
      seed: of the agent's draws.

    Raises:
      InputError: the algorithm cannot live with such observations or actions.
    """
    agent = algorithm.reset(environment.observation_spec(), environment.action_spec(), seed)
    rewards, ends, terminations = np.zeros(lifetime_length), *np.zeros((2, lifetime_length), bool)
    timestep = environment.reset()
    for step in range(lifetime_length):
        timestep = environment.step(agent.step(timestep))
        rewards[step] = timestep.reward or 0.0
        ends[step] = timestep.last()
        terminations[step] = timestep.last() and timestep.discount == 0.0
    return PlayedLifetime(rewards, ends, terminations)


def show_lifetime(played: PlayedLifetime, console: Console) -> None:
    """Draws the learning curve, and says how the end of the lifetime compares with its beginning."""
    length = len(played.rewards)
    curve = np.repeat(binned(played.rewards, _NUM_BARS), _BAR_WIDTH)
    lines = bar_chart(curve)
    indent = len(lines[0]) - len(curve)
    axis = f"0{f'{length:,} env steps':>{len(curve) - 1}}"
    fifth = max(1, length // 5)
    first, last = played.rewards[:fifth].mean(), played.rewards[-fifth:].mean()
    lines = [
        f"reward per env step, mean of every {-(-length // _NUM_BARS):,}",
        *lines,
        " " * indent + axis,
        f"reward {played.rewards.sum():.6g} in all; per env step {first:.4g} in the first fifth, "
        f"{last:.4g} in the last",
    ]
    if played.episode_ends.any():
        terminations = played.terminations
        lines.append(
            f"{played.episode_ends.sum():,} episodes ended, {terminations.sum():,} of them by termination: "
            f"{terminations[:fifth].sum():,} in the first fifth, {terminations[-fifth:].sum():,} in the last"
        )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def draw_lifetime(played: PlayedLifetime, path: Path) -> None:
    """Writes a picture of the learning curve: bars from zero, each the mean reward per env step of a part.

    Args:
      played: the lifetime.
      path: the PNG file.

    Raises:
      PodmetaError: it could not be written.
    """
    from matplotlib.figure import Figure

    heights = binned(played.rewards, _NUM_BARS)
    width = len(played.rewards) / len(heights)
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(len(heights)) * width, heights, 0.9 * width, align="edge", color="#0072B2")
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel("env step")
    axes.set_ylabel("reward per env step")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    write_atomically(path, content.getvalue())

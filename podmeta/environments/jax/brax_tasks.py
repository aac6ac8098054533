"""The tasks that meta-RL draws on brax's bodies: what is rewarded, or how heavy and how damped the body is.

They are those of MAML (Finn et al. 2017, arXiv 1703.03400) and PEARL (Rakelly et al. 2019, arXiv 1903.08254). Rewards
for staying upright and the costs of actions stay brax's own.
"""

import abc
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from podmeta.errors import InputError

System = Any
"""brax's description of a body, which has no type where brax is not installed."""

BodyState = Any
"""brax's state of a body after a step."""

_FASTEST = 3.0  # of the speeds to run at
_FARTHEST = 3.0  # of the goals, from the start
_LARGEST_EXPONENT = 3.0  # of the factors of body parts

_FORWARD = ("halfcheetah", "ant", "hopper", "walker2d")  # their reward contains the forward speed, once


class BraxTasks(abc.ABC):
    """A distribution of tasks on a body.

    Attributes:
      number: how many tasks there are.
      bodies: brax's names of the bodies that have such tasks; (): all.
      arguments: further arguments of brax's environment.
    """

    number: ClassVar[float] = math.inf
    bodies: ClassVar[tuple[str, ...]] = ()
    arguments: ClassVar[Mapping[str, bool]] = {}

    @abc.abstractmethod
    def draw(self, key: PRNGKeyArray, system: System) -> PyTree:
        """Draws the task of one lifetime.

        Args:
          key: the random key.
          system: brax's description of the body.
        """

    def system(self, task: PyTree, system: System) -> System:
        """The body of a task."""
        del task
        return system

    def reward(self, task: PyTree, body: BodyState) -> Float[Array, ""]:
        """The reward of a step.

        Args:
          task: the task.
          body: brax's state after the step.
        """
        del task
        return body.reward


class OneTask(BraxTasks):
    """brax's own task, always."""

    number = 1

    def draw(self, key: PRNGKeyArray, system: System) -> tuple[()]:
        """Draws nothing."""
        del key, system
        return ()


class Direction(BraxTasks):
    """To run forwards or backwards: a sign of the forward speed, [], equally likely."""

    number = 2
    bodies = _FORWARD

    def draw(self, key: PRNGKeyArray, system: System) -> Float[Array, ""]:
        """Draws the sign."""
        del system
        return jax.random.rademacher(key, (), jnp.float32)

    def reward(self, task: Float[Array, ""], body: BodyState) -> Float[Array, ""]:
        """The speed in the direction, in place of the forward speed."""
        return body.reward + (task - 1.0) * body.metrics["x_velocity"]


class Velocity(BraxTasks):
    """To run at a speed, [], uniform between 0 and 3."""

    bodies = _FORWARD

    def draw(self, key: PRNGKeyArray, system: System) -> Float[Array, ""]:
        """Draws the speed."""
        del system
        return jax.random.uniform(key, (), minval=0.0, maxval=_FASTEST)

    def reward(self, task: Float[Array, ""], body: BodyState) -> Float[Array, ""]:
        """Minus the distance from the speed, in place of the forward speed."""
        speed = body.metrics["x_velocity"]
        return body.reward - speed - jnp.abs(speed - task)


class Goal(BraxTasks):
    """To reach a place, [2], uniform in the disc of radius 3 around the start. The position is observed."""

    bodies = ("ant",)
    arguments: ClassVar[Mapping[str, bool]] = {"exclude_current_positions_from_observation": False}

    def draw(self, key: PRNGKeyArray, system: System) -> Float[Array, "2"]:
        """Draws the place."""
        del system
        angle, area = jax.random.uniform(key, (2,))
        angle = 2 * jnp.pi * angle
        return _FARTHEST * jnp.sqrt(area) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])

    def reward(self, task: Float[Array, "2"], body: BodyState) -> Float[Array, ""]:
        """Minus the distance from the place along both axes, in place of the forward speed."""
        position = jnp.stack([body.metrics["x_position"], body.metrics["y_position"]])
        return body.reward - body.metrics["x_velocity"] - jnp.sum(jnp.abs(position - task))


class BodyFactors(NamedTuple):
    """By what the parts of a body are multiplied.

    Attributes:
      masses: [num_links].
      inertias: [num_links, 1, 1]; one for each link, so that its tensor stays one of inertia.
      dampings: [num_joints].
    """

    masses: Float[Array, "num_links"]
    inertias: Float[Array, "num_links 1 1"]
    dampings: Float[Array, "num_joints"]


class Parameters(BraxTasks):
    """To run forwards with a body whose masses, inertias and dampings differ by factors of up to 1.5³ and 1.3³."""

    bodies = _FORWARD

    def draw(self, key: PRNGKeyArray, system: System) -> BodyFactors:
        """Draws a factor for every mass, inertia and damping."""
        masses, dampings = system.link.inertia.mass, system.dof.damping
        mass_key, inertia_key, damping_key = jax.random.split(key, 3)

        def exponents(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
            return jax.random.uniform(key, shape, minval=-_LARGEST_EXPONENT, maxval=_LARGEST_EXPONENT)

        return BodyFactors(
            masses=1.5 ** exponents(mass_key, masses.shape),
            inertias=1.5 ** exponents(inertia_key, (*masses.shape, 1, 1)),
            dampings=1.3 ** exponents(damping_key, dampings.shape),
        )

    def system(self, task: BodyFactors, system: System) -> System:
        """The body with its parts multiplied."""
        inertia = system.link.inertia
        return system.tree_replace(
            {
                "link.inertia.mass": inertia.mass * task.masses,
                "link.inertia.i": inertia.i * task.inertias,
                "dof.damping": system.dof.damping * task.dampings,
            }
        )


_TASKS: dict[str, type[BraxTasks]] = {
    "one": OneTask,
    "direction": Direction,
    "velocity": Velocity,
    "goal": Goal,
    "parameters": Parameters,
}


def make_brax_tasks(name: str, body: str, backend: str) -> BraxTasks:
    """The tasks of a name, which the schema lists.

    Raises:
      InputError: the body or its physics does not have them.
    """
    tasks = _TASKS[name]
    if tasks.bodies and body not in tasks.bodies:
        raise InputError(f"environment.tasks={name} is for environment.id={' or '.join(tasks.bodies)}, not {body}")
    if tasks is Parameters and backend == "mjx":
        raise InputError(
            "environment.tasks=parameters needs one of brax's own physics: set environment.backend=generalized"
        )
    return tasks()

"""The keys of environments that live on the host."""

import dataclasses

from podmeta.config.schema.code_texts import factory_texts, texts_in
from podmeta.config.schema.environments import EnvironmentConfig
from podmeta.config.schema.option import lifetime_length_option, option
from podmeta.value_types import Json


@dataclasses.dataclass
class HostEnvironmentConfig(EnvironmentConfig):
    """What environments that live on the host, in C++ or Python, share: architecture=sebulba runs them."""

    lifetime_length: int = lifetime_length_option(500)


@dataclasses.dataclass
class EnvpoolConfig(HostEnvironmentConfig):
    """A pool of C++ environments of envpool (extra: envpool)."""

    name: str = option("envpool", "envpool")
    id: str = option("CartPole-v1", "the environment's envpool id")
    observation: str = option(
        "obs", "which of the arrays that the pool hands out is the observation: obs, or ram for the 128 bytes of Atari"
    )
    else_gymnasium: bool = option(
        False, "where envpool is not installed, take gymnasium's environment of the same id, without the options"
    )
    options: dict[str, Json] = option(
        {}, "envpool's own options for the environment, such as num_threads (0: one per core), frame_skip, reward_clip"
    )

    def code_texts(self) -> dict[str, str]:
        """Texts among the options."""
        return texts_in(self.options, "options")


@dataclasses.dataclass
class PythonEnvironmentConfig(HostEnvironmentConfig):
    """What environments written in Python share, which step one at a time."""

    vectorisation: str = option(
        "inline",
        "where a batch steps: inline, one after the other in the actor's thread, or in worker processes",
        choices=("inline", "processes"),
    )
    num_processes: int = option(
        0, "worker processes of a batch, each with an equal share of it; 0: one per core", minimum=0
    )


@dataclasses.dataclass
class GymnasiumConfig(PythonEnvironmentConfig):
    """Any registered gymnasium environment (extra: gymnasium)."""

    name: str = option("gymnasium", "gymnasium")
    id: str = option(
        "CartPole-v1", "the environment's gymnasium id; my_module:MyEnvironment-v0 imports my_module first"
    )
    options: dict[str, Json] = option({}, "arguments of gymnasium.make, such as max_episode_steps")

    def code_texts(self) -> dict[str, str]:
        """An id with a module, and texts among the options."""
        return ({"id": self.id} if ":" in self.id else {}) | texts_in(self.options, "options")


@dataclasses.dataclass
class BsuiteConfig(PythonEnvironmentConfig):
    """An environment of the behaviour suite (extra: bsuite)."""

    name: str = option("bsuite", "bsuite")
    id: str = option("catch/0", "the experiment and the number of its setting")


@dataclasses.dataclass
class DmControlConfig(PythonEnvironmentConfig):
    """A task of the DeepMind control suite (extra: dm-control)."""

    name: str = option("dm_control", "dm_control")
    id: str = option("cartpole/swingup", "the domain and the task")


@dataclasses.dataclass
class FactoryConfig(PythonEnvironmentConfig):
    """An environment of the user's own, made by a function: one of dm_env, Gymnasium, gymnax or podmeta.

    One of gymnax or podmeta, which is JAX, becomes environment.name=jax_factory when the job starts.
    """

    name: str = option("factory", "factory")
    factory: str = option(
        "",
        "my_module:make_env, a function that returns the environment. Where it takes a seed and the environment lives "
        "on the host, it is called for every lifetime, and may draw a task from the seed; else once",
    )
    options: dict[str, Json] = option({}, "further arguments of the factory")

    def code_texts(self) -> dict[str, str]:
        """The function, and texts among its arguments."""
        return factory_texts(self.factory, self.options)

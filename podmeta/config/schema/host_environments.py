"""The keys of host environments."""

import dataclasses

from podmeta.config.schema.code_texts import factory_texts, texts_in
from podmeta.config.schema.environments import EnvironmentConfig
from podmeta.config.schema.option import lifetime_length_option, option
from podmeta.value_types import Json


@dataclasses.dataclass
class HostEnvironmentConfig(EnvironmentConfig):
    """The common part of host environments, in C++ or Python, which architecture=sebulba runs."""

    lifetime_length: int = lifetime_length_option(500)


@dataclasses.dataclass
class EnvpoolConfig(HostEnvironmentConfig):
    """A pool of C++ environments of envpool (extra: envpool)."""

    name: str = option("envpool", "envpool")
    id: str = option("CartPole-v1", "the environment's envpool id")
    observation: str = option(
        "obs", "which array of the pool is the observation: obs, or ram for the 128 bytes of an Atari console"
    )
    else_gymnasium: bool = option(
        False, "if envpool is not installed, use gymnasium's environment with the same id, without the options"
    )
    options: dict[str, Json] = option(
        {}, "envpool's options for the environment, such as num_threads (0: one per core), frame_skip, reward_clip"
    )

    def code_texts(self) -> dict[str, str]:
        """Strings among the options."""
        return texts_in(self.options, "options")


@dataclasses.dataclass
class PythonEnvironmentConfig(HostEnvironmentConfig):
    """The common part of environments in Python, which step one at a time."""

    vectorisation: str = option(
        "inline",
        "where a batch steps: inline (one after the other in the actor's thread), or in worker processes",
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
        """An id with a module, and strings among the options."""
        return ({"id": self.id} if ":" in self.id else {}) | texts_in(self.options, "options")


@dataclasses.dataclass
class BsuiteConfig(PythonEnvironmentConfig):
    """A bsuite environment (extra: bsuite)."""

    name: str = option("bsuite", "bsuite")
    id: str = option("catch/0", "bsuite id: the experiment and the number of its setting")


@dataclasses.dataclass
class DmControlConfig(PythonEnvironmentConfig):
    """A task of the DeepMind Control Suite (extra: dm-control)."""

    name: str = option("dm_control", "dm_control")
    id: str = option("cartpole/swingup", "the domain and the task")


@dataclasses.dataclass
class FactoryConfig(PythonEnvironmentConfig):
    """The user's own environment, with the interface of dm_env, Gymnasium, gymnax or podmeta, made by a function.

    A JAX environment (gymnax or podmeta) becomes environment.name=jax_factory when the job starts.
    """

    name: str = option("factory", "factory")
    factory: str = option(
        "",
        "my_module:make_env, a function that returns the environment. If it takes a seed and returns a host "
        "environment, it is called for every lifetime, and may draw a task from the seed; otherwise once",
    )
    options: dict[str, Json] = option({}, "further arguments of the factory")

    def code_texts(self) -> dict[str, str]:
        """The function, and strings among its arguments."""
        return factory_texts(self.factory, self.options)

"""The registry of architectures. The rest of podmeta does not depend on which one a job has."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import jax

from podmeta.architectures.anakin import Anakin
from podmeta.architectures.anakin_session import AnakinSession
from podmeta.architectures.base import TrainingState
from podmeta.architectures.sebulba.functions import Sebulba, make_sebulba
from podmeta.architectures.sebulba.layout import check_layout, make_layout
from podmeta.architectures.sebulba.session import SebulbaSession
from podmeta.architectures.session import Session
from podmeta.config.schema import AnakinConfig, OuterLoopConfig, SebulbaConfig
from podmeta.environments.host.base import HostEnvironment
from podmeta.outer.base import OuterLoop

Program = Anakin | Sebulba
"""The program of one stage on the devices."""

MakeEnvironments = Callable[[Sequence[int]], list[HostEnvironment]]
"""By entry, number of environments -> a batch of them."""


Config = TypeVar("Config", bound=AnakinConfig | SebulbaConfig)
OwnProgram = TypeVar("OwnProgram", bound=Program)


class Architecture(abc.ABC, Generic[Config, OwnProgram]):
    """The interface of an architecture. `config` is its config, and `program` is a program that it has built.

    Attributes:
      steps_host_environments: whether it steps host environments instead of compiled ones.
    """

    steps_host_environments: ClassVar[bool]

    @abc.abstractmethod
    def on_one_device(self, config: Config) -> Config:
        """The config of the same job on one device, which does not change the shapes of its state."""

    @abc.abstractmethod
    def build(
        self, config: Config, outer_config: OuterLoopConfig, outer_loop: OuterLoop, num_devices: int
    ) -> OwnProgram:
        """The program of an outer loop on `num_devices` devices of each process.

        Raises:
          InputError: the devices are too few, or the outer loop's slots do not divide over them.
        """

    @abc.abstractmethod
    def open_session(
        self, config: Config, program: OwnProgram, state: TrainingState, make_environments: MakeEnvironments
    ) -> Session:
        """Begins or resumes a stage from a state."""


class AnakinArchitecture(Architecture[AnakinConfig, Anakin]):
    """Environments and learner in one compiled program."""

    steps_host_environments = False

    def on_one_device(self, config: AnakinConfig) -> AnakinConfig:
        """The same config: it names no devices."""
        return config

    def build(
        self, config: AnakinConfig, outer_config: OuterLoopConfig, outer_loop: OuterLoop, num_devices: int
    ) -> Anakin:
        """The program that is mapped over all devices of all processes."""
        del outer_config  # validate_devices has checked it
        return Anakin(outer_loop, config.num_instances, num_devices * jax.process_count(), config.rows_at_once)

    def open_session(
        self, config: AnakinConfig, program: Anakin, state: TrainingState, make_environments: MakeEnvironments
    ) -> Session:
        """A session on all devices of this process."""
        del config, make_environments
        return AnakinSession(program, state, jax.local_device_count())


class SebulbaArchitecture(Architecture[SebulbaConfig, Sebulba]):
    """Actor threads that step host environments, and a learner thread."""

    steps_host_environments = True

    def on_one_device(self, config: SebulbaConfig) -> SebulbaConfig:
        """The config with one device that learns and acts."""
        return dataclasses.replace(config, actor_devices=0, learner_devices=1)

    def build(
        self, config: SebulbaConfig, outer_config: OuterLoopConfig, outer_loop: OuterLoop, num_devices: int
    ) -> Sebulba:
        """The programs of the actors and the learner of this process."""
        layout = make_layout(config, num_devices)
        check_layout(layout, outer_config, jax.process_count())
        return make_sebulba(
            outer_loop,
            num_actors=layout.num_actors,
            num_learner_devices=layout.num_learner_devices,
            process=jax.process_index(),
            num_processes=jax.process_count(),
        )

    def open_session(
        self, config: SebulbaConfig, program: Sebulba, state: TrainingState, make_environments: MakeEnvironments
    ) -> Session:
        """A session in which each actor makes its own environments."""
        layout = make_layout(config, jax.local_device_count())
        sizes = [entry_actor.num_lifetimes for entry_actor in program.entry_actors]
        return SebulbaSession(program, config, layout, state, lambda: make_environments(sizes))


SomeArchitecture = Architecture[Any, Any]
"""Any architecture, chosen by its config."""

_ARCHITECTURES: Mapping[type, SomeArchitecture] = {
    AnakinConfig: AnakinArchitecture(),
    SebulbaConfig: SebulbaArchitecture(),
}


def architecture_of(config: AnakinConfig | SebulbaConfig) -> SomeArchitecture:
    """The architecture that a config chooses."""
    return _ARCHITECTURES[type(config)]

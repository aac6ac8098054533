"""The division of devices into learner and actor devices, and the number of actors."""

from typing import NamedTuple

import jax

from podmeta.config.schema import OuterLoopConfig, SebulbaConfig
from podmeta.config.validate import check_division
from podmeta.errors import InputError


class Layout(NamedTuple):
    """The division of this process's devices: the first ones learn, those after them act.

    Attributes:
      num_learner_devices: devices that the update is mapped over.
      num_actor_devices: devices that only act; 0: the learner devices also act.
      threads_per_device: actors per actor device.
    """

    num_learner_devices: int
    num_actor_devices: int
    threads_per_device: int

    @property
    def num_actors(self) -> int:
        """Actors on all devices."""
        return (self.num_actor_devices or self.num_learner_devices) * self.threads_per_device

    def learner_devices(self) -> list[jax.Device]:
        """The devices that learn."""
        return jax.local_devices()[: self.num_learner_devices]

    def actor_devices(self) -> list[jax.Device]:
        """The devices that act."""
        if self.num_actor_devices == 0:
            return self.learner_devices()
        return jax.local_devices()[self.num_learner_devices :][: self.num_actor_devices]

    def device_of_actors(self) -> list[jax.Device]:
        """By actor, its device."""
        return [device for device in self.actor_devices() for _ in range(self.threads_per_device)]


def make_layout(config: SebulbaConfig, num_devices: int) -> Layout:
    """Divides `num_devices` devices.

    Raises:
      InputError: there are not enough.
    """
    asked = config.actor_devices + max(config.learner_devices, 1)
    if asked > num_devices:
        raise InputError(
            f"architecture.actor_devices={config.actor_devices} and architecture.learner_devices="
            f"{config.learner_devices} need {asked} devices, but there are {num_devices}: use fewer, or, on a CPU, "
            f"devices.cpu={asked}"
        )
    num_learner_devices = config.learner_devices or num_devices - config.actor_devices
    return Layout(num_learner_devices, config.actor_devices, config.actor_threads)


def check_layout(layout: Layout, outer: OuterLoopConfig, num_processes: int = 1) -> None:
    """Checks that the slots of an outer loop divide over actors and learner devices, and there into minibatches.

    Args:
      layout: of each process.
      outer: the outer loop's config.
      num_processes: processes of the job.

    Raises:
      InputError: they do not.
    """
    num_learner_devices = num_processes * layout.num_learner_devices
    parties = f"{layout.num_actors} actors and {layout.num_learner_devices} learner devices"
    if num_processes > 1:
        parties += f" in each of {num_processes} processes"
    check_division(outer, num_learner_devices * layout.num_actors, num_learner_devices, parties)

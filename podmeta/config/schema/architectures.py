"""The keys of architectures."""

import dataclasses

from podmeta.config.schema.option import option


@dataclasses.dataclass
class AnakinConfig:
    """Environment and learner in one compiled program on the devices."""

    name: str = option("anakin", "anakin")
    updates_per_call: int = option(10, "updates the devices run between two looks of the host", minimum=1)
    rows_at_once: int = option(
        0,
        "slots of a device (pairs of members, or lifetimes) rolled out side by side, the others after them: fewer need "
        "less memory, and are faster where the learner states of all do not fit the caches; 0: all",
        minimum=0,
    )
    num_instances: int = option(1, "S: independent meta-learners in the one program", minimum=1)
    instance_seeds: list[int] = option(
        [],
        "seed of each instance; []: seed for the first, and hashes of seed and its number for the others",
        minimum=0,
        maximum=2**32 - 1,
    )
    instance_learning_rates: list[float] = option(
        [], "learning rate of each instance; [] is outer.learning_rate", above=0
    )
    instance_noise_stds: list[float] = option([], "σ of each instance; [] is outer.noise_std", above=0)


@dataclasses.dataclass
class SebulbaConfig:
    """Actors and a learner, for environments that live on the host."""

    name: str = option("sebulba", "sebulba")
    updates_per_call: int = option(10, "updates between two looks at metrics and checkpoints", minimum=1)
    actor_devices: int = option(0, "devices that only act; 0: those that learn act as well", minimum=0)
    learner_devices: int = option(0, "devices that learn; 0: all that do not only act", minimum=0)
    actor_threads: int = option(
        2, "threads per actor device, each with its own environments: one steps them while another infers", minimum=1
    )
    actor_cores: int = option(
        0,
        "cores that the actors of this process are kept to, one after the other, with the threads of their "
        "environment pools (on Linux; elsewhere nothing is kept). It pays where an env step is quicker than waking "
        "another core, as CartPole's: one a thread where unrolls are one program, else 1; 0: any",
        minimum=0,
    )
    max_lag: int = option(
        1,
        "updates that the θ which acts may be behind the one that learns; 0: they alternate, and a job ends at the "
        "same θ each time. Evolution always waits",
        minimum=0,
    )
    actor_timeout_s: float = option(
        60.0, "seconds after which an environment that does not answer ends the job", above=0
    )

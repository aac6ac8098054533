"""The keys of architectures."""

import dataclasses

from podmeta.config.schema.option import option


@dataclasses.dataclass
class AnakinConfig:
    """Environment and learner in one compiled program on the devices."""

    name: str = option("anakin", "anakin")
    updates_per_call: int = option(
        10, "updates per call to the devices; metrics, checkpoints and signals wait for its end", minimum=1
    )
    rows_at_once: int = option(
        0,
        "slots (pairs of members, or lifetimes) that a device rolls out at a time: fewer need less memory, and are "
        "faster if the learner states of all slots do not fit into the caches; 0: all",
        minimum=0,
    )
    num_instances: int = option(1, "number of independent meta-learners in one program", minimum=1)
    instance_seeds: list[int] = option(
        [],
        "seed of each instance; []: the job's seed for the first, and hashes of it and their number for the others",
        minimum=0,
        maximum=2**32 - 1,
    )
    instance_learning_rates: list[float] = option(
        [], "learning rate of each instance; []: outer.learning_rate", above=0
    )
    instance_noise_stds: list[float] = option([], "σ of each instance; []: outer.noise_std", above=0)


@dataclasses.dataclass
class SebulbaConfig:
    """Actor threads and a learner thread, for host environments."""

    name: str = option("sebulba", "sebulba")
    updates_per_call: int = option(10, "updates between metrics, checkpoints and checks for signals", minimum=1)
    actor_devices: int = option(0, "devices that only act; 0: the learner devices also act", minimum=0)
    learner_devices: int = option(0, "devices that learn; 0: all except actor devices", minimum=0)
    actor_threads: int = option(
        2,
        "threads per actor device, each with its own environments: one steps its environments while another infers",
        minimum=1,
    )
    actor_cores: int = option(
        0,
        "number of cores that the actors of this process are pinned to in turn, with the threads of their environment "
        "pools (Linux only). It helps if an env step takes less time than waking another core, as in CartPole: use one "
        "per actor with compiled unrolls, otherwise 1; 0: no pinning",
        minimum=0,
    )
    max_lag: int = option(
        1,
        "updates by which the actors' θ may lag behind the learner's; 0: actors and learner alternate, and a job ends "
        "at the same θ each time. Evolution always alternates",
        minimum=0,
    )
    actor_timeout_s: float = option(
        60.0, "seconds after which an environment that does not answer ends the job", above=0
    )

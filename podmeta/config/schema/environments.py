"""The keys that all environments share."""

import dataclasses

from podmeta.config.schema.option import lifetime_length_option, option


@dataclasses.dataclass
class EnvironmentConfig:
    """The common part of all environments: the lifetime, and the task transforms, which draw once per lifetime."""

    name: str = option("???", "the kind of environment, one of the names below")
    lifetime_length: int = lifetime_length_option(100)
    permute_observations: bool = option(False, "shuffle the observation components once per lifetime")
    permute_actions: bool = option(False, "shuffle the actions once per lifetime")
    flip_observation_signs: bool = option(False, "draw a sign for each observation component once per lifetime")
    observation_scale: list[float] = option(
        [], "factor on each observation component (a single one applies to all); []: 1"
    )
    observation_copies: int = option(1, "number of times that each observation component is repeated", minimum=1)
    failure_reward: bool = option(False, "pay -1 when an episode terminates and 0 otherwise, instead of its reward")
    project_observations: str = option(
        "none",
        "multiply observations by a random square matrix, drawn once per lifetime: orthonormal preserves lengths and "
        "angles, gaussian has independent elements",
        choices=("none", "orthonormal", "gaussian"),
    )
    discrete_actions: int = option(
        0,
        "make box actions discrete: every combination of this many evenly spaced values per component; 0: off",
        minimum=0,
        maximum=1000,
    )
    flip_action_signs: bool = option(False, "draw a sign for each component of a box action once per lifetime")
    flip_reward_sign: bool = option(False, "draw a sign for rewards once per lifetime")
    reward_scale: list[float] = option(
        [], "factor on rewards; two numbers: drawn log-uniformly between them once per lifetime; []: 1", above=0
    )
    reward_offset: list[float] = option(
        [], "added to every reward except that of a reset; two numbers: drawn between them once per lifetime; []: 0"
    )
    reward_delay: int = option(
        0, "steps by which rewards are delayed; the end of an episode pays all that are due", minimum=0
    )
    reward_period: int = option(
        1,
        "accumulate rewards and pay them every this many steps and at the end of an episode; 0: only at the end",
        minimum=0,
    )
    padded_observation_size: int = option(
        0,
        "append zeros to observations up to this many components; 0: none. With it, one θ of a recurrent learner fits "
        "several sizes",
        minimum=0,
    )
    padded_num_actions: int = option(
        0,
        "add actions up to this many: action i does what action i modulo the original number does; 0: none",
        minimum=0,
    )

    def code_texts(self) -> dict[str, str]:
        """The values that name code to run or files to open, by key. Somebody else's run may not set them.

        Configs with such keys override this.
        """
        return {}

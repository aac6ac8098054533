"""The keys that all environments share."""

import dataclasses

from podmeta.config.schema.option import lifetime_length_option, option


@dataclasses.dataclass
class EnvironmentConfig:
    """What all environments share: the lifetime, and the task transforms, drawn anew for every lifetime."""

    name: str = option("???", "the environment; one of the names below")
    lifetime_length: int = lifetime_length_option(100)
    permute_observations: bool = option(False, "shuffle the observation components, per lifetime")
    permute_actions: bool = option(False, "shuffle the actions, per lifetime")
    flip_observation_signs: bool = option(False, "flip the sign of each observation component or not, per lifetime")
    observation_scale: list[float] = option([], "factor on each observation component (one: on all); [] is 1")
    observation_copies: int = option(1, "times that each observation component is shown", minimum=1)
    failure_reward: bool = option(False, "pay -1 when an episode terminates and 0 otherwise, instead of its reward")
    project_observations: str = option(
        "none",
        "multiply observations by a random square matrix, per lifetime: orthonormal keeps lengths and angles, gaussian "
        "has independent elements",
        choices=("none", "orthonormal", "gaussian"),
    )
    discrete_actions: int = option(
        0,
        "make box actions discrete: every combination of this many evenly spaced values per component; 0: leave them",
        minimum=0,
        maximum=1000,
    )
    flip_action_signs: bool = option(False, "flip the sign of each component of a box action or not, per lifetime")
    flip_reward_sign: bool = option(False, "flip the sign of rewards or not, per lifetime")
    reward_scale: list[float] = option(
        [], "factor on rewards; two numbers: drawn between them per lifetime, log-uniformly; [] is 1", above=0
    )
    reward_offset: list[float] = option(
        [], "added to every reward but that of a reset; two numbers: drawn between them per lifetime; [] is 0"
    )
    reward_delay: int = option(
        0, "steps by which rewards are late; the end of an episode pays all that are due", minimum=0
    )
    reward_period: int = option(
        1, "rewards are added up and paid every so many steps and at the end of an episode; 0: only there", minimum=0
    )
    padded_observation_size: int = option(
        0,
        "observations get zeros up to this many components; 0: none. With it a recurrent learner fits several sizes",
        minimum=0,
    )
    padded_num_actions: int = option(
        0,
        "actions up to this many, of which action i does what action i modulo the real number does; 0: none",
        minimum=0,
    )

    def code_texts(self) -> dict[str, str]:
        """The texts that name code to run or files to open, by their keys. A run of somebody else's may not set them.

        An environment of one's own that has such keys overrides this.
        """
        return {}

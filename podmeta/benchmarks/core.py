"""`podmeta bench core`: the symmetric learner's step, fast form and plain form, against the machine's own GEMM."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from podmeta.benchmarks.measure import best_seconds, report
from podmeta.benchmarks.plain_symmetric import plain_step
from podmeta.config.schema import SymmetricConfig
from podmeta.keys import make_key
from podmeta.learners.base import Learner, LearnerInput, LearnerOutput, LearnerState, MetaParams
from podmeta.learners.registry import make_learner
from podmeta.learners.symmetric import make_symmetric_learner

ALL_OPTIONS = SymmetricConfig(
    activation="rational",
    normalise_rewards=True,
    pair_inputs=True,
    pair_traces=[0.8, 0.95, 0.99],
    effect_inputs=True,
    policy_input=True,
    multiplicative_readout=True,
    critic=True,
    base="actor_critic",
)
"""All options of the symmetric learner but the constant observation, which would add LSTMs."""

SIZES = [(1, 2), (4, 2), (32, 4), (147, 16)]
NUM_STEPS = 20
NUM_MEMBERS = (1, 64)  # one θ for all lifetimes, as in evaluation and actor-critic; a θ per member, as in evolution
LSTM_UPDATES_SIDE_BY_SIDE = 20_000
GEMM_SIZE = 1024


def bench_core() -> None:
    """Measures ns per LSTM update, the fraction of the GEMM rate reached, and fast over plain, at four sizes."""
    gemm_rate = gemm_flops_per_second(GEMM_SIZE)
    report("core_gemm_flops_per_second", {"size": GEMM_SIZE}, gemm_rate, "1/s")
    for num_members in NUM_MEMBERS:
        for observation_size, num_actions in SIZES:
            _measure(num_members, observation_size, num_actions, gemm_rate)


def _measure(num_members: int, observation_size: int, num_actions: int, gemm_rate: float) -> None:
    """One size: both forms with both activations, and the ratios of every pair that one may want to compare."""
    num_lifetimes = max(1, LSTM_UPDATES_SIDE_BY_SIDE // (num_members * observation_size * num_actions))
    num_updates = num_members * num_lifetimes * NUM_STEPS * observation_size * num_actions
    fast_seconds, plain_seconds = {}, {}
    for activation in ("tanh", "rational"):
        config = SymmetricConfig(activation=activation)
        fast_seconds[activation], plain_seconds[activation] = _seconds(
            config, num_members, num_lifetimes, observation_size, num_actions
        )
        setting = {
            "observation_size": observation_size,
            "num_actions": num_actions,
            "hidden_size": config.hidden_size,
            "message_size": config.message_size,
            "num_members": num_members,
            "num_lifetimes": num_lifetimes,
        }
        with_activation = setting | {"activation": activation}
        flops_per_update = 2 * config.hidden_size * 4 * config.hidden_size
        gemm_fraction = flops_per_update * num_updates / fast_seconds[activation] / gemm_rate
        report("core_lstm_update", with_activation, fast_seconds[activation] / num_updates * 1e9, "ns")
        report("core_plain_lstm_update", with_activation, plain_seconds[activation] / num_updates * 1e9, "ns")
        report("core_gemm_fraction", with_activation, gemm_fraction, "1")
    learner = make_learner(ALL_OPTIONS, (observation_size,), num_actions, 1)
    seconds = best_seconds(rolled(learner, learner.step, num_members, num_lifetimes, observation_size, num_actions))
    report("core_all_options_over_none", setting | {"activation": "rational"}, seconds / fast_seconds["rational"], "1")
    # Like over like is what the fast form gains; rational over tanh is the default over the paper's equations.
    for fast, plain in (("tanh", "tanh"), ("rational", "rational"), ("rational", "tanh")):
        activations = {"fast_activation": fast, "plain_activation": plain}
        report("core_fast_over_plain_speedup", setting | activations, plain_seconds[plain] / fast_seconds[fast], "1")


def _seconds(
    config: SymmetricConfig, num_members: int, num_lifetimes: int, observation_size: int, num_actions: int
) -> list[float]:
    """Seconds of the fast form and of the plain form."""
    learner = make_symmetric_learner(config, observation_size, num_actions, 1)

    def plain(
        meta_params: MetaParams, state: LearnerState, learner_input: LearnerInput
    ) -> tuple[LearnerOutput, LearnerState]:
        return plain_step(config, 1, meta_params, state, learner_input)

    return [
        best_seconds(rolled(learner, step, num_members, num_lifetimes, observation_size, num_actions))
        for step in (learner.step, plain)
    ]


def rolled(
    learner: Learner,
    step: Callable[[MetaParams, LearnerState, LearnerInput], tuple[LearnerOutput, LearnerState]],
    num_members: int,
    num_lifetimes: int,
    observation_size: int,
    num_actions: int,
) -> Callable[[], jax.Array]:
    """Steps the lifetimes of every member side by side, `NUM_STEPS` times, their logits fed back as previous action."""
    meta_params = jax.vmap(learner.init)(jax.random.split(make_key(0), num_members))
    states = jax.vmap(learner.initial_state, in_axes=(None, 0))(None, jax.random.split(make_key(1), num_lifetimes))

    def rollout(meta_params: MetaParams, state: LearnerState) -> jax.Array:
        def one(carry: tuple[LearnerState, jax.Array], _: None) -> tuple[tuple[LearnerState, jax.Array], None]:
            state, action = carry
            learner_input = LearnerInput(jnp.ones(observation_size), action, action[0], jnp.zeros(()))
            output, state = step(meta_params, state, learner_input)
            return (state, output.policy[:, 0]), None

        return jax.lax.scan(one, (state, jnp.zeros(num_actions)), length=NUM_STEPS)[0][1]

    roll = jax.jit(jax.vmap(jax.vmap(rollout, in_axes=(None, 0)), in_axes=(0, None)))
    return lambda: roll(meta_params, states)


def gemm_flops_per_second(size: int, dtype: str = "float32") -> float:
    """The rate at which the device multiplies two square matrices."""
    matrix = jnp.ones((size, size), dtype)
    product = jax.jit(lambda matrix: matrix @ matrix)
    return 2 * size**3 / best_seconds(lambda: product(matrix))

"""An environment, a learner and an outer loop as users write them: copied to a folder outside the checkout."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from dm_env import specs

from podmeta.environments.base import Environment, restart, transition
from podmeta.keys import make_key
from podmeta.learners.base import Learner, LearnerOutput
from podmeta.outer.base import InstanceSettings, OuterLoop, fresh_meta_params


class OneArmPays(Environment):
    """One of `num_arms` arms pays 1; which one is the task. An episode lasts one step."""

    def __init__(self, num_arms=3):
        self.num_arms = num_arms

    def observation_spec(self):
        return specs.Array((1,), np.float32)

    def action_spec(self):
        return specs.DiscreteArray(self.num_arms)

    def sample_task(self, key):
        return jax.random.randint(key, (), 0, self.num_arms)

    def reset(self, key, task):
        return (), restart(jnp.ones(1))

    def step(self, key, task, state, action):
        return (), transition(reward=action == task, observation=jnp.ones(1), terminated=True)


def make_learner(observation_shape, num_actions, num_policy_channels, scale=1.0):
    """Leans to the action that has paid, by as much as θ says. Its state is what each action has earned."""

    def step(meta_params, earned, learner_input):
        earned = earned + learner_input.previous_action * learner_input.reward
        logits = scale * meta_params["lean"] * earned
        return LearnerOutput(policy=logits[:, None], value=jnp.zeros(())), earned

    return Learner(
        init=lambda key: {"lean": jnp.zeros(())},
        initial_state=lambda meta_params, key: jnp.zeros(num_actions),
        step=step,
    )


class BestState(NamedTuple):
    meta_params: Any
    update: jax.Array
    settings: InstanceSettings


class BestOf(OuterLoop):
    """Each slot is θ with some noise, the first without any; the one that earned the most becomes θ."""

    num_members, uses_actor_outputs, requires_on_policy = 1, False, True

    @property
    def unroll_lengths(self):
        return tuple(entry.inner_loop.lifetime_length for entry in self.entries)

    def init(self, settings, meta_params=None):
        if meta_params is None:
            meta_params = fresh_meta_params(self.entries, settings)
        return BestState(meta_params, jnp.array(self.first_update, jnp.int32), settings)

    def actor_view(self, state):
        return state

    def draw(self, state, slot):
        key = jax.random.fold_in(self.key(state, 1, state.update), slot)
        noise = jnp.where(slot == 0, 0.0, state.settings.noise_std) * jax.random.normal(key)
        return jax.tree.map(lambda leaf: noise * jnp.ones_like(leaf), state.meta_params)

    def actor_params(self, state, draw, member):
        return jax.tree.map(jnp.add, state.meta_params, draw)

    def lifetime_keys(self, state, update, slot):
        return tuple(jax.random.split(self.key(state, 2, update), entry.lifetimes) for entry in self.entries)

    def summarise(self, trajectories):
        return sum(jnp.mean(trajectory.experience.reward) for trajectory in trajectories)

    def update(self, state, draws, summaries, axis_name):
        fitness = summaries if axis_name is None else jax.lax.all_gather(summaries, axis_name, tiled=True)
        best = self.actor_params(state, self.draw(state, jnp.argmax(fitness)), 0)
        metrics = {"fitness_mean": jnp.mean(fitness), "meta_params_norm": jnp.abs(best["lean"])}
        return state._replace(meta_params=best, update=state.update + 1), metrics

    @staticmethod
    def key(state, purpose, update):
        return jax.random.fold_in(jax.random.fold_in(make_key(state.settings.seed), purpose), update)

"""Learned algorithms in files, untrained, for tests of what is done with them."""

from pathlib import Path

import jax

from podmeta.learners.registry import LearnerConfig, make_learner
from podmeta.storage.checkpoints import meta_params_sha256
from podmeta.storage.pretrained import Card, save_pretrained


def save_untrained(path: Path, config: LearnerConfig, seed: int = 0, sizes: tuple[int, int] = (3, 2)) -> str:
    """Saves a fresh θ, that of a recurrent learner for so many observation components and actions; returns the path."""
    meta_params = make_learner(config, (sizes[0],), sizes[1], 1).init(jax.random.key(seed))
    card = Card(
        description="learns nothing",
        limits="all there are",
        learner=vars(config),
        trained_on=[],
        command="podmeta train",
        seed=seed,
        revision=None,
        versions={},
        devices=[],
        num_updates=0,
        env_steps=0,
        seconds=0.0,
        results=[],
        meta_params_sha256=meta_params_sha256(meta_params),
        file_sha256="",
    )
    save_pretrained(path, meta_params, card)
    return str(path)

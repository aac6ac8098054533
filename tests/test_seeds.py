"""Which seeds there are."""

import numpy as np
import pytest

from podmeta.config.compose import compose_job
from podmeta.errors import InputError
from podmeta.seeds import LARGEST_SEED, checked_seed


def test_any_integer_type_will_do():
    assert checked_seed(0) == 0
    assert checked_seed(np.uint32(LARGEST_SEED)) == checked_seed(np.int64(LARGEST_SEED)) == LARGEST_SEED


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, np.int64(LARGEST_SEED + 1)])
def test_a_seed_that_would_draw_what_another_draws_is_refused(seed):
    with pytest.raises(InputError, match=f"seed={seed} is not a whole number from 0 to {LARGEST_SEED}"):
        checked_seed(seed)


@pytest.mark.parametrize("override", ["seed={}", "evaluation.seed={}", "architecture.instance_seeds=[{},1]"])
@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1])
def test_seeds_of_a_config_are_refused_likewise(override, seed):
    with pytest.raises(InputError, match="seed"):
        compose_job(["experiment=bandit", "architecture.num_instances=2", override.format(seed)])

"""The CPU's values that ship belong to the jobs, and other values are outside the tolerances."""

import numpy as np
import pytest

from podmeta.checks.reference import JOBS, NUM_UPDATES, TOLERANCES, compare, load_reference


def metrics_of(name):
    return {metric: np.array(values)[:, None] for metric, values in load_reference()[name].items()}


def wrong(figures):
    return [figure.name for figure in figures if not figure.holds]


def test_every_job_has_values_of_every_update():
    reference = load_reference()
    assert reference.keys() == JOBS.keys()
    for metrics in reference.values():
        assert {"fitness_mean", "meta_params_norm"} <= metrics.keys()
        assert all(len(values) == NUM_UPDATES and np.isfinite(values).all() for values in metrics.values())


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("name", JOBS)
def test_the_values_themselves_are_within_the_tolerances_and_a_single_wrong_one_is_not(name, precision):
    assert wrong(compare(name, metrics_of(name), precision)) == []
    for metric in load_reference()[name]:
        changed = metrics_of(name)
        changed[metric][0] *= 1.2
        found = wrong(compare(name, changed, precision))
        assert f"{metric} of the first update, relative difference" in found
    late = metrics_of(name)
    late["fitness_mean"][-1] += 0.1
    late["meta_params_norm"][-1] *= 1.1
    assert wrong(compare(name, late, precision)) == [
        "fitness_mean of any update, difference",
        "meta_params_norm of any update, relative difference",
    ]


def test_fewer_updates_are_compared_with_the_first_ones():
    first = {name: values[:2] for name, values in metrics_of("evolution").items()}
    assert wrong(compare("evolution", first, "float32")) == []

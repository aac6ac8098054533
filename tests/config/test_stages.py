"""Where stages begin and end."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from podmeta.config.schema import JobConfig, StageConfig
from podmeta.config.stages import stage_that_made, stages_of

lengths_of_stages = st.lists(st.integers(1, 9), max_size=5)


@given(lengths=lengths_of_stages, num_updates=st.integers(0, 60))
def test_stages_follow_one_another_to_the_end_of_the_job(lengths, num_updates):
    stages = stages_of(JobConfig(num_updates=num_updates, stages=[StageConfig(num_updates=n) for n in lengths]))
    assert stages[0].first_update == 0
    assert stages[-1].end == max(sum(lengths), num_updates)
    assert all(left.end == right.first_update for left, right in itertools.pairwise(stages))
    assert [stage.num_updates for stage in stages] == (lengths or [num_updates])


@given(lengths=lengths_of_stages.filter(bool))
def test_a_state_belongs_to_the_stage_that_made_it(lengths):
    stages = stages_of(JobConfig(num_updates=sum(lengths), stages=[StageConfig(num_updates=n) for n in lengths]))
    made = [number for number, length in enumerate(lengths) for _ in range(length)]
    assert [stage_that_made(stages, update).number for update in range(1, sum(lengths) + 1)] == made
    assert stage_that_made(stages, 0).number == 0

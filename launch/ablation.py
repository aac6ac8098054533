"""Trains `experiment=general` with parts of its recipe left out, and tabulates what each is worth: `make ablation`.

    python -m launch.ablation --runs runs/ablation --updates 300

Every variant is trained with several seeds and few updates, and tested on draws of the families that training leaves
out. Held-out environments have no part in it. Tasks are drawn with an evaluation seed that development has not used.
The table is written to `results.md` in the runs' folder. The same command resumes an interrupted one.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from launch.results import Result, collect_results
from podmeta.config.compose import compose_job, job_to_yaml
from podmeta.config.paths import path_override
from podmeta.config.suites import REPORTING_SEED
from podmeta.distributed.resumable import run_what_is_left
from podmeta.distributed.signals import Interruption
from podmeta.errors import InputError
from podmeta.evaluation.done import is_done
from podmeta.evaluation.statistics import mean_of_runs
from podmeta.storage.run_directory import check_config
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode


class Variant(NamedTuple):
    """A recipe that differs from the whole one in one part.

    Attributes:
      folder: of its runs.
      what: differs, in words.
      overrides: that make it so.
    """

    folder: str
    what: str
    overrides: tuple[str, ...]


WHOLE = Variant("whole", "the whole recipe", ())
VARIANTS = (
    WHOLE,
    Variant("no_pairs", "without pair inputs and traces", ("learner.pair_inputs=false", "learner.pair_traces=[]")),
    Variant("no_traces", "without traces of pair inputs", ("learner.pair_traces=[]",)),
    Variant("no_readout", "without the multiplicative read-out", ("learner.multiplicative_readout=false",)),
    Variant("no_effects", "without effect inputs", ("learner.effect_inputs=false",)),
    Variant("unscaled_rewards", "without normalised rewards", ("learner.normalise_rewards=false",)),
    Variant("no_base", "without a hand-written base", ("learner.base=none", "outer.without_base=false")),
    Variant("textbook_base", "the textbook's actor-critic as base", ("learner.base=actor_critic",)),
    Variant("base_imitates", "base and LSTMs imitate the teacher together", ("outer.without_base=false",)),
    Variant("critic", "with a critic", ("learner.critic=true",)),
    Variant("twice_the_units", "with 16 units in every LSTM", ("learner.hidden_size=16",)),
)
SEEDS = (0, 1, 2)


def main(arguments: list[str] | None = None) -> int:
    """Trains and tests what is missing, then tabulates it. The exit code is that of the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"), help="where the runs are, or are to be")
    parser.add_argument("--updates", type=int, default=300, help="of every training (default: 300)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the runs")
    parser.add_argument("overrides", nargs="*", help="of every training, such as devices.cpu=1")
    options = parser.parse_args(arguments)
    overrides = (f"num_updates={options.updates}", *options.overrides)
    try:
        code = run_what_is_left(lambda: commands_left(options.runs, options.seeds, overrides))
        if code is not None:
            return code
        table = in_markdown({each: results_of(options.runs, each, options.seeds) for each in VARIANTS})
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    (options.runs / "results.md").write_text(table, encoding="utf-8")
    print(table)
    return 0


def commands_left(runs: Path, seeds: Sequence[int], overrides: Sequence[str]) -> Iterator[list[str]]:
    """The commands that have not come to their ends yet. All seeds of one variant come before the next variant.

    Raises:
      InputError: an override is invalid, or the folder of a run holds a run with another config.
    """
    for variant in VARIANTS:
        for seed in seeds:
            path = run_path(runs, variant, seed)
            arguments = ["experiment=general", f"seed={seed}", *variant.overrides, *overrides]
            arguments += [f"evaluation.seed={REPORTING_SEED}", path_override("run_dir", path)]
            job = compose_job(arguments)
            check_config(path, job_to_yaml(job))
            if not is_done(job, path):
                yield ["train", *arguments]


def run_path(runs: Path, variant: Variant, seed: int) -> Path:
    """The folder of a run."""
    return runs / variant.folder / str(seed)


def results_of(runs: Path, variant: Variant, seeds: Sequence[int]) -> list[Result]:
    """What the runs of a variant reached, by draw of the families.

    Raises:
      InputError: a file of a run is damaged.
    """
    return collect_results([run_path(runs, variant, seed) for seed in seeds])


def in_markdown(results: Mapping[Variant, Sequence[Result]]) -> str:
    """The rewards of a lifetime by variant and draw: means over seeds, with 95% t intervals."""
    draws = results[WHOLE]
    lines = [
        "| recipe | " + " | ".join(draw.setting for draw in draws) + " |",
        "|---|" + "---|" * len(draws),
        "| random | " + " | ".join(f"{np.mean(draw.values['random']):.1f}" for draw in draws) + " |",
    ]
    for variant, of_variant in results.items():
        cells = [variant.what, *(_in_words(result.values["learner"]) for result in of_variant)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _in_words(values: Sequence[float]) -> str:
    mean = mean_of_runs(np.array(values))
    return f"{mean.value:.1f} ± {mean.high - mean.value:.1f}"


if __name__ == "__main__":
    restart_in_utf8_mode()
    Interruption("what has been done so far is kept; the same command goes on").watch()
    protect_streams()
    sys.exit(main())

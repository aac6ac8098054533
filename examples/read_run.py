"""Reads a run with pandas: python examples/read_run.py RUN_DIRECTORY

The files of a run directory are JSON lines, so any tool reads them. `podmeta.load_run` gives them types.
"""

import sys

import pandas

import podmeta


def main() -> None:
    """Prints how training and the meta-test went."""
    run = podmeta.load_run(sys.argv[1])
    metrics = run.metrics.to_pandas()
    print(metrics[["update", "fitness_mean", "env_steps_per_second"]].tail())

    # Without podmeta, for a look at runs on another machine:
    rows = pandas.read_json(run.path / "evaluation.jsonl", lines=True)
    rows["setting"] = rows["setting"].astype(str)
    headline = rows[rows["metric"] == rows["metric"].iloc[0]]
    print(headline.pivot_table(index="algorithm", columns="setting", values="mean"))


if __name__ == "__main__":
    main()

"""What documents state of keys, commands, choices, tables and numbers is what the code has.

A sentence with a number is made here from the code's own, and must be in the document word for word.
"""

import dataclasses
import re
import shlex
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

from podmeta.architectures.sebulba import session
from podmeta.benchmarks import learners as bench_learners
from podmeta.checks import CHECKS
from podmeta.cli import check as check_command
from podmeta.cli.commands import make_parser
from podmeta.config import run_config
from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.schema import (
    GROUPS,
    DarkRoomConfig,
    DistributedConfig,
    EnvironmentConfig,
    LinearControlConfig,
    OscillatorConfig,
    RecurrentConfig,
    SymmetricConfig,
    schema_fields,
)
from podmeta.config.suites import REPORTING_SEED, load_suite
from podmeta.config.sweeps import expand_sweep, search_space
from podmeta.environments import contract
from podmeta.environments.bridge import arrays
from podmeta.environments.host import patience, processes
from podmeta.environments.jax import linear_control, random_mdp, views
from podmeta.environments.jax.linear_control import LinearControl
from podmeta.environments.jax.oscillator import Oscillator
from podmeta.evaluation.baselines.controls import ZEROED_INPUTS
from podmeta.evaluation.comparison import ENOUGH_RUNS
from podmeta.evaluation.verdict import BASE_ALONE
from podmeta.inner_loop import build_inner_loop
from podmeta.learners import symmetric
from podmeta.learners.hand_written_base import BASE_RULES
from podmeta.storage import json_files, run_status, wall_clock
from podmeta.storage.pretrained import list_pretrained
from podmeta.storage.run_files import Goodput
from podmeta.training import wall_clock as recorded
from podmeta.training.heartbeat import SECONDS_BETWEEN_BEATS

REPOSITORY = Path(__file__).parents[1]
GENERATED = {"config_keys.md"}
PAGES = [
    *sorted(page for page in (REPOSITORY / "docs").glob("*.md") if page.name not in GENERATED),
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "launch/README.md")),
]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())

KEYS = dict(schema_fields())
ROOTS = {key.partition(".")[0] for key in KEYS}
SECTIONS = {key[: dot.start()] for key in KEYS for dot in re.finditer(r"\.", key)}
CHOICES = ("experiment", *GROUPS)
FILES = r"\.(?:json|jsonl)$"
WRONG_ON_PURPOSE = {"outer.learning_rat", "learner.hidden_size=big", "experiment=bandi"}  # in troubleshooting.md
OWN = {"environment=maze", "learner=my_learner", "outer=my_loop"}  # names of the package in extending.md


def read(page):
    return (REPOSITORY / page).read_text(encoding="utf-8")


def in_one_line(page):
    return " ".join(read(page).split())


def code_of(page):
    """The commands of a document, and what stands between backticks."""
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    return [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)]


def rows_of(page, heading):
    """The cells of the table whose first row begins with that heading."""
    lines = read(page).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def names_in(cells):
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pages
def test_every_key_exists(page):
    dotted = rf"(?<![\w./'\"-])((?:{'|'.join(ROOTS)})(?:\.[a-z_0-9]+)+)"
    found = {key for code in code_of(page) for key in re.findall(dotted, code) if not re.search(FILES, key)}
    assert found - KEYS.keys() - SECTIONS - WRONG_ON_PURPOSE == set()


@pages
def test_every_word_before_an_equals_sign_is_a_key(page):
    of_commands = {key for command in make_parser().commands().values() for key in command.keys}
    known = {*ROOTS, *CHOICES, *(key.rpartition(".")[2] for key in KEYS), *of_commands}
    found = {key for code in code_of(page) for key in re.findall(r"(?<![\w.\[{'\"/-])([a-z_]+)=", code)}
    assert found - known == set()


@pages
def test_every_choice_exists(page):
    """Of a config group, a suite, an agent, or a key with a few valid words."""
    words = {word for code in code_of(page) for word in re.findall(r"(?<![\w\[{'\"/-])([a-z_.]+=[\w./-]+)", code)}
    by_word = {key: field.metadata.get("choices") for key, field in KEYS.items()}
    for word in words - WRONG_ON_PURPOSE - OWN:
        key, _, value = word.partition("=")
        if key == "agent":
            assert value in list_pretrained() or value.endswith(".npz"), word
        elif key == "suite" or key in CHOICES:
            is_named = "/" in value  # a file, or an environment of a source by its id
            assert is_named or value in list_options("evaluation" if key == "suite" else key), word
        elif by_word.get(key):
            assert value in by_word[key], word


def commands_of(page):
    """Every command line of podmeta's in a document, in words."""
    for code in code_of(page):
        found = re.match(r"(?:mpirun -n \d+ |srun )?podmeta (.+)$", code)
        if found is not None:
            yield shlex.split(found[1].replace("…", "x"), comments=True)


@pages
def test_every_command_and_its_flags_exist(page):
    parser = make_parser()
    for words in commands_of(page):
        if words[0].startswith("--"):
            assert set(words) & set(parser.flags())
        else:
            assert words[0] in parser.commands(), words
            flags = {word for word in words if word.startswith("--")} - {"--help"}
            assert flags <= set(parser.commands()[words[0]].flags()), words


def jobs_of(words, overrides):
    """The overrides of each job that a command starts; of a search, of those with the smallest and largest values."""
    if "--trials" in words:
        return search_space(overrides).extremes()
    return expand_sweep(overrides) if {"-m", "--multirun"} & set(words) else [overrides]


@pytest.mark.long
def test_commands_that_describe_a_job_compose():
    num_composed = 0
    for words in (words for page in PAGES for words in commands_of(page)):
        overrides = [word for word in words[1:] if not word.startswith(("--", "topology=", "agent=")) and "=" in word]
        if words[0] not in ("train", "plan", "play") or any("my_" in word for word in words) or overrides == []:
            continue
        for job in jobs_of(words, overrides):
            compose_job(job)
            num_composed += 1
    assert num_composed >= 20


@pages
def test_every_file_of_the_repository_that_is_named_exists(page):
    """By its path, or in a package of podmeta by its place there."""
    roots = (REPOSITORY, REPOSITORY / "podmeta", page.parent)
    named = {name for code in code_of(page) for name in re.findall(r"(?<![\w./…:-])[a-z_]+(?:/[\w.]+)+/?", code)}
    folders = {path.name for root in roots[:2] for path in root.iterdir() if path.is_dir()} - {"build", "runs"}
    for name in named:
        if name.partition("/")[0] in folders and not name.startswith("environments/"):
            assert any((root / name).exists() for root in roots), name


def test_the_tree_of_packages_is_that_of_the_package():
    text = read("docs/architecture.md")
    tree = re.search(r"\n    podmeta/\n(.*?)    configs/", text, flags=re.DOTALL)[1]
    named = set(re.findall(r"^      (\w+(?:/|\.py))", tree, flags=re.MULTILINE))
    there = {f"{path.name}/" if path.is_dir() else path.name for path in (REPOSITORY / "podmeta").iterdir()}
    also = set(re.findall(r"\w+\.py\b", tree))
    missing = {name for name in there if not name.startswith("_")} - named - also - {"py.typed"}
    assert missing == set() and named <= there
    for package, about in re.findall(r"^      (\w+)/ +(.*?)(?=^      \w|\Z)", tree, flags=re.MULTILINE | re.DOTALL):
        files = [path.name for path in (REPOSITORY / "podmeta" / package).rglob("*")]
        for name in re.findall(r"\w+\.(?:py|json)\b|\b\w+/", about):
            assert name.rstrip("/") in files, f"{package}: {name}"


# Tables.


def test_transforms_are_those_of_the_schema():
    stated = [re.findall(r"`(\w+)`", cells[0]) for cells in rows_of("docs/concepts.md", "key of `environment`")]
    fields = {field.name for field in dataclasses.fields(EnvironmentConfig)} - {"name", "lifetime_length"}
    assert {key for keys in stated for key in keys} == fields


def test_controls_are_those_that_there_are():
    assert names_in(cells[0] for cells in rows_of("docs/concepts.md", "control")) == [*ZEROED_INPUTS, BASE_ALONE]


def test_learners_are_those_that_there_are():
    stated = names_in(cells[0] for cells in rows_of("docs/learners.md", "`learner=`"))
    assert set(stated) == set(list_options("learner")) - {"factory"}


def test_options_of_the_symmetric_learner_exist_and_are_off_by_default():
    options = names_in(cells[0] for cells in rows_of("docs/learners.md", "option"))
    off = {option.partition("=")[0]: getattr(SymmetricConfig(), option.partition("=")[0]) for option in options}
    assert off.pop("forget_bias") == 1.0  # as the page says
    assert all(value in (False, 0.0, [], "none") for value in off.values()), off
    assert SymmetricConfig().hidden_layers == []


def test_the_account_of_time_is_of_the_keys_in_the_summary():
    stated = names_in(cells[0] for cells in rows_of("docs/long_jobs.md", "key"))
    assert set(stated) == {field.name for field in dataclasses.fields(Goodput)}


def test_the_states_of_a_run_are_those_that_there_are():
    constants = (run_status.RUNNING, run_status.WAITING, run_status.KILLED, run_status.UNREADABLE)
    stated = names_in(cells[0] for cells in rows_of("docs/long_jobs.md", "state"))
    assert set(stated) == {*constants, wall_clock.FINISHED, wall_clock.INTERRUPTED, wall_clock.FAILED}


def test_the_checks_of_a_machine_are_those_that_there_are():
    assert names_in(cells[0] for cells in rows_of("docs/scaling.md", "check")) == [*CHECKS]


def test_suites_have_the_controls_that_the_page_says():
    """docs/experiments.md says which suites lack some, and which train ordinary RL; the verdict needs two."""
    job = compose_job(["experiment=bandit"])
    references = {name: set(load_suite(name, job).references) for name in list_options("evaluation")}
    rewards = {"rewards_zeroed", "rewards_and_episode_starts_zeroed"}
    assert {name for name in references if not rewards <= references[name]} == {"action_spaces", "reward_units"}
    further = {"alternation", "observations_zeroed"}
    assert {name for name in references if not further <= references[name]} == {
        *("action_spaces", "reward_units", "lifetimes")
    }
    assert {name for name in references if {"a2c", "ppo"} & references[name]} == {"environments", "held_out"}
    text = in_one_line("docs/experiments.md")
    assert "All but `action_spaces` and `reward_units`" in text and "All of these but `lifetimes`" in text
    assert "`environments` and `held_out` also train A2C and PPO" in text


# Results.


def results_of_bandit():
    """By number of arms, what the results page shows of the learner and of the other algorithms."""
    rows = [cells for cells in rows_of("docs/results.md", "experiment") if cells[0] == "`bandit`"]
    return {
        re.search(r"num_arms=(\d+)", tested_on)[1]: {"learner": learner} | dict(re.findall(r"(\w+) ([\d.]+)", others))
        for _, tested_on, _, learner, _, others in rows
    }


def test_the_readme_shows_the_regrets_of_the_results_page():
    shown = {cells[0]: cells[1:] for cells in rows_of("README.md", "regret within 100 pulls, 1,000 tasks")}
    titles = {"**learner, 5 seeds**": "learner", "random": "random", "Thompson sampling": "thompson"}
    titles |= {"UCB1, bonus scaled by 0.2": "ucb1", "Gittins index": "gittins"}
    for title, algorithm in titles.items():
        assert [cell.strip("*") for cell in shown[title]] == [
            regrets[algorithm] for regrets in results_of_bandit().values()
        ]
    assert shown.keys() == titles.keys()


def test_thompson_sampling_is_beaten_where_the_interval_over_seeds_lies_below_its_regret():
    beaten = set()
    for arms, regrets in results_of_bandit().items():
        mean, half_width = map(float, regrets["learner"].split(" ± "))
        beaten |= {arms} if mean + half_width < float(regrets["thompson"]) else set()
    stated = [
        set(re.findall(r"\d+", arms))
        for page in ("README.md", "docs/results.md")
        for arms in re.findall(r"((?:\d+(?:, | and )?)+) arms (?:it|the learner) beats Thompson", in_one_line(page))
    ]
    assert stated and all(arms == beaten for arms in stated)


def counts(verdicts):
    """(how many settings are learned from reward, (better, worse) early, and late), of (verdict, early, late) each."""
    learned, early, late = zip(*verdicts, strict=True)
    return learned.count("yes"), *((part.count("better"), part.count("worse")) for part in (early, late))


def test_the_verdicts_on_the_general_algorithm_are_counted_from_the_table():
    table = [(cells[-2], *cells[-1].split(", ")) for cells in rows_of("docs/results.md", "environment | random")]
    learned, early, late = counts(table)
    pages = f"{in_one_line('README.md')} {in_one_line('docs/results.md')}"
    stated = re.findall(r"learns from reward in (\d+) of (\d+)", pages)
    assert stated and {tuple(map(int, each)) for each in stated} == {(learned, len(table))}
    stated = re.findall(r"(?:beats the best \S+ rule|it beats it) in (\d+) and is worse in (\d+)", pages)
    assert stated and {tuple(map(int, each)) for each in stated} <= {early, late}


def test_the_verdicts_on_each_seed_are_counted_from_its_column():
    columns = list(zip(*rows_of("docs/results.md", "environment | seed 0"), strict=True))[1:]
    for (_, _, learned, early, late, *_), column in zip(rows_of("docs/results.md", "seed"), columns, strict=True):
        tested = [re.split(r"[;,] ", cell)[1:] for cell in column if cell]
        number, *by_part = counts(tested)
        assert learned == f"{number} of {len(tested)}"
        assert [early, late] == [f"better in {better}, worse in {worse}" for better, worse in by_part]


# Numbers.

BANDIT, HELD_OUT = compose_job(["experiment=bandit"]), load_suite("held_out", compose_job(["experiment=bandit"]))
ACTOR_CRITIC = compose_job(["experiment=bandit_actor_critic"]).outer
ROOM = DarkRoomConfig()
RULES = BASE_RULES["multi_horizon"].members
PLACES = views._FEWEST_PLACES  # of a feature
PLACES_OF = {
    "oscillator": PLACES * Oscillator(OscillatorConfig(num_observations=100))._num_features,
    "linear_control": PLACES * (2 * 2 + LinearControl(LinearControlConfig(num_observations=100))._num_further),
}
STANDARD_DEVIATIONS = stats.t.ppf(0.975, df=2) / np.sqrt(3)


def share_after(num_steps):
    return f"{symmetric._SHARE / (1 + symmetric._FADE * num_steps):.2f}"


SENTENCES = [
    ("docs/getting_started.md", f"the job trains for {BANDIT.num_updates:,} generations"),
    (
        "docs/getting_started.md",
        f"bandit, {BANDIT.outer.population_size} members with {BANDIT.outer.lifetimes_per_member} lifetimes each, of "
        f"{BANDIT.environment.lifetime_length} env steps",
    ),
    ("docs/getting_started.md", f"on anakin, {BANDIT.devices.cpu} devices (cpu)"),
    ("docs/experiments.md", f"`held_out` has {len(HELD_OUT.settings)} settings"),
    (
        "docs/experiments.md",
        f"with {HELD_OUT.num_tasks} tasks each, or {HELD_OUT.num_host_tasks} for host environments",
    ),
    ("docs/results.md", f"means over {HELD_OUT.num_tasks} tasks, or {HELD_OUT.num_host_tasks} for host environments"),
    ("docs/results.md", f"evaluation seed {REPORTING_SEED}"),
    ("docs/concepts.md", f"Both have {ROOM.height} x {ROOM.width} cells"),
    ("docs/concepts.md", f"{ROOM.episode_length} steps from the centre"),
    ("docs/concepts.md", f"10 episodes of {ROOM.episode_length} steps are a lifetime of {ROOM.lifetime_length}"),
    (
        "docs/learners.md",
        f"κ starts at {symmetric._SHARE:g} and fades over the lifetime, to {share_after(100)} after 100",
    ),
    ("docs/learners.md", f"and {share_after(1000)} after 1,000, unless"),
    ("docs/learners.md", f"(a discount of {RULES[0].discount} and no trace)"),
    ("docs/learners.md", f"({RULES[2].discount}, and a trace decay of {RULES[2].trace_decay})"),
    ("docs/families.md", f"with a discount of {random_mdp.DISCOUNT}"),
    ("docs/families.md", f"of the next {2**linear_control._LOOKAHEAD} steps for escaping"),
    (
        "docs/families.md",
        f"In `oscillator` with {PLACES_OF['oscillator']} components or "
        f"more, and in `linear_control` with two modes and {PLACES_OF['linear_control']} or more",
    ),
    ("docs/sebulba.md", f"the mean return of the last {session.EPISODES_AVERAGED} episodes"),
    ("docs/sebulba.md", f"After {session._FEWEST_UPDATES} or more updates"),
    ("docs/sebulba.md", f"at least {session._START_TIMEOUT_S:g} s for its first answer"),
    ("docs/sebulba.md", f"in progress has {session._UPDATE_TIMEOUT_S:g} s to finish"),
    ("docs/host_environments.md", f"the limit is {patience.TIMEOUT_S:g} s for making an environment"),
    ("docs/host_environments.md", f"one discrete action for every combination, up to {arrays.MOST_COMBINATIONS:,}"),
    ("docs/host_environments.md", f"up to {arrays.MOST_COMPONENTS // 10**6} million numbers"),
    ("docs/host_environments.md", f"a magnitude of at most {contract.LARGEST_REWARD:.0e}".replace("+", "")),
    ("docs/host_environments.md", f"cut to {contract._LONGEST_ERROR:,} characters"),
    ("docs/host_environments.md", "does not close within two seconds" if processes._CLOSE_TIMEOUT_S == 2 else "?"),
    ("docs/long_jobs.md", f"every {SECONDS_BETWEEN_BEATS:g} s between calls to the devices"),
    ("docs/long_jobs.md", f"as soon as {recorded._SHARE_OF_LIFE:.0%} of the start's time has passed"),
    ("docs/scaling.md", f"(default: {check_command._DEFAULT_MINUTES:g} minutes)"),
    (
        "docs/scaling.md",
        f"An update of actor-critic has {2 * ACTOR_CRITIC.num_epochs * ACTOR_CRITIC.num_minibatches} sums",
    ),
    ("docs/troubleshooting.md", f"`fewer than {ENOUGH_RUNS} runs in a group"),
    ("docs/troubleshooting.md", f"they extend {STANDARD_DEVIATIONS:.1f} standard deviations to either side"),
    ("docs/experiments.md", f"there are fewer than {ENOUGH_RUNS} runs"),
    (
        "docs/security.md",
        f"a config to {run_config._MAX_BYTES // 2**20} MB, a JSON file to {json_files._MAX_BYTES // 2**30} GiB",
    ),
    (
        "docs/benchmarks.md",
        f"each {RecurrentConfig().hidden_size} units wide, with {bench_learners.NUM_LIFETIMES} parallel",
    ),
    ("docs/benchmarks.md", "At T = {:,}, {:,} and {:,} it prints".format(*bench_learners.NUM_STEPS)),
    ("launch/README.md", f"`distributed.heartbeat_s` ({DistributedConfig().heartbeat_s:g} s)"),
]


@pytest.mark.parametrize(("page", "sentence"), SENTENCES)
def test_a_number_is_that_of_the_code(page, sentence):
    assert sentence in in_one_line(page)


def test_the_size_of_theta_is_that_of_the_first_job():
    shapes = jax.eval_shape(build_inner_loop(BANDIT.learner, BANDIT.environment).init, jax.random.key(0))
    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert f"symmetric with {num_parameters:,} meta-parameters" in in_one_line("docs/getting_started.md")

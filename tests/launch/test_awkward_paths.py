"""Any run directory reaches `podmeta train` through every launcher, and the commands that they print can be pasted."""

import shlex

import pytest
import yaml

from launch import local, paper, results
from launch.gke import render
from podmeta.config.compose import compose_job
from podmeta.config.sweeps import expand_sweep

AWKWARD = ["a b", "it's", "'quoted'", 'p(1)=x#&"ü', "a,b", "$HOME", "{a: 1}"]


def train_words(command):
    return command[command.index("train") + 1 :]


@pytest.mark.parametrize("path", AWKWARD)
def test_local_processes(path):
    (command,) = local.make_commands(1, 5000, ["experiment=bandit", f"run_dir=./{path}"])
    assert compose_job(train_words(command)).run_dir == f"./{path}"


@pytest.mark.long
@pytest.mark.parametrize("path", AWKWARD)
def test_slurm_prints_a_word_that_composes_to_the_run_directory(path, tmp_path, monkeypatch, capsys):
    submitit = pytest.importorskip("submitit")
    from launch import slurm

    monkeypatch.chdir(tmp_path)
    submitted = []

    def submit(executor, training):
        submitted.append(compose_job(training.words[training.words.index("train") + 1 :]).run_dir)
        return type("Job", (), {"job_id": "7"})

    monkeypatch.setattr(submitit.AutoExecutor, "submit", submit)
    assert slurm.main(["--cluster", "local", "experiment=bandit", f"run_dir=./{path}"]) == 0
    _, word = shlex.split(capsys.readouterr().out)
    assert submitted == [compose_job([word]).run_dir] == [str(tmp_path / path / "0")]


@pytest.mark.long
@pytest.mark.parametrize("path", AWKWARD)
def test_gke(path, capsys):
    words = ["--topology", "v5e:4x4", "--image", "i", "--claim", "c", "experiment=bandit", f"run_dir=./{path}"]
    assert render.main(words) == 0
    manifest = capsys.readouterr().out
    pod = yaml.safe_load(manifest)["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    words = [word.replace("$$", "$") for word in train_words(pod["containers"][0]["args"])]  # as Kubernetes does
    assert compose_job(words).run_dir == f"./{path}"


@pytest.mark.long
@pytest.mark.parametrize("path", AWKWARD)
def test_results_and_paper_print_commands_to_paste(path, tmp_path):
    runs = tmp_path / path
    sweep = shlex.split(shlex.join(results.sweep_command("bandit", 2, runs)))
    jobs = [compose_job(words) for words in expand_sweep(train_words(sweep[:-1]))]
    assert {job.run_dir for job in jobs} == {str(runs / "bandit")}
    first = next(iter(paper.commands_left(runs, [0], [])))
    assert compose_job(train_words(shlex.split(shlex.join(first)))).run_dir == str(runs / "bandit_symmetric_0")

"""What the shell offers at the Tab key."""

import os
import pty
import select
import shutil
import subprocess
import sys

import pytest

from podmeta.cli import main
from podmeta.cli.commands import make_parser
from podmeta.cli.completion import SCRIPTS, candidates


def complete(*words):
    return candidates(make_parser(), words)


@pytest.mark.parametrize(
    ("words", "among"),
    [
        (["tr"], ["train"]),
        (["--v"], ["--version"]),
        (["train", "--mu"], ["--multirun"]),
        (["evaluate", "su"], ["suite="]),
        (["evaluate", "suite=in_"], ["suite=in_distribution"]),
        (["play", "agent=symla-g"], ["agent=symla-general"]),
        (["export", "checkpoint=b"], ["checkpoint=best"]),
        (["train", "experiment=band"], ["experiment=bandit"]),
        (["train", "seed=1", "learner=sym"], ["learner=symmetric"]),
        (["train", "outer.pop"], ["outer.population_size="]),
        (["train", "evaluation.contr"], ["evaluation.controls="]),
        (["train", "evaluation.controls=t"], ["evaluation.controls=true"]),
        (["train", "numerics.dtype="], ["numerics.dtype=bfloat16", "numerics.dtype=float32"]),
    ],
)
def test_names_are_completed(words, among):
    found = complete(*words)
    assert set(among) <= set(found) and all(word.startswith(words[-1]) for word in found)


def test_dotted_keys_are_completed_part_by_part():
    found = complete("train", "")
    assert {"experiment=", "outer=", "outer.", "seed="} <= set(found)
    assert not [word for word in found if word.count(".") > word.endswith(".")]


@pytest.mark.parametrize(
    "words",
    [["nothing", "a"], ["train", "--help", ""], ["train", "run_dir="], ["bench", "seed"], ["train", "--cfg", "x"]],
)
def test_where_there_are_no_names_the_shell_completes_files(words):
    assert complete(*words) == []


def test_presets_of_the_users_own_folders_are_completed(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "my_job.yaml").write_text("num_updates: 3", encoding="utf-8")
    assert complete("train", "--config-dir", str(tmp_path), "experiment=my") == ["experiment=my_job"]
    assert complete("train", "experiment=my") == []
    assert complete("train", "--config-dir", str(tmp_path / "nowhere"), "experiment=my") == []


@pytest.mark.parametrize("command", make_parser().commands())
def test_the_help_of_a_command_has_its_keys(command, capsys):
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    # Where directories may stand without run=, the help names them so.
    keys = {"run": "DIR"}
    assert [key for key in make_parser().commands()[command].keys if keys.get(key, f"{key}=") not in shown] == []


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_a_shell_is_printed(shell, capsys):
    assert main(["--completion", shell]) == 0
    assert capsys.readouterr().out == SCRIPTS[shell]
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=SCRIPTS[shell], encoding="utf-8", check=True)


def test_an_unknown_shell_is_refused(capsys):
    assert main(["--completion", "fish"]) == 2
    assert "'bash', 'zsh'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "said", "expected"),
    [
        ("podmeta tr", "train", "train"),
        ("podmeta train outer.pop", "outer.population_size=", "outer.population_size="),
        ("podmeta train seed=1 experiment=ban", "experiment=bandit", "bandit"),
        ("podmeta evaluate ", "run=\nsuite=", "run= suite="),
    ],
)
def test_bash_asks_with_the_words_up_to_the_cursor_and_keeps_what_stands(line, said, expected, tmp_path):
    asked = tmp_path / "asked"
    script = f"""
    podmeta() {{ printf '[%s]' "$@" > {asked}; printf '%s\\n' "$SAID"; }}
    compopt() {{ :; }}
    {SCRIPTS["bash"]}
    COMP_LINE="$LINE" COMP_POINT=${{#LINE}}
    _podmeta
    echo "${{COMPREPLY[*]}}"
    """
    done = subprocess.run(
        [shutil.which("bash"), "-c", script],
        env={"LINE": line, "SAID": said},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == f"{expected}\n", done.stderr
    words = ["--complete", *line.split(" ")[1:]]
    assert asked.read_text(encoding="utf-8") == "".join(f"[{word}]" for word in words)


ZSH = r"""
autoload -Uz compinit
compinit -u -D
podmeta() { shift; print -r -- "${(j:|:)@}" >> asked; [[ -n "$SAID" ]] && print -r -- "$SAID"; }
note() { print -r -- "$LBUFFER" >> noted; exit; }
zle -N note
bindkey '^X' note
source script
print READY
"""


def after_a_tab_in_zsh(folder, line, said):
    """The line that stands in an interactive zsh after Tab, and the words that it asked `podmeta --complete` for."""
    (folder / "script").write_text(SCRIPTS["zsh"], encoding="utf-8")
    (folder / "set_up").write_text(ZSH, encoding="utf-8")
    (folder / "a_file.npz").touch()
    reader, writer = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "SAID": said}
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"],
        env=environment,
        cwd=folder,
        stdin=writer,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    shown, keys = "", [("READY\r", f"{line}\t\x18")]
    os.write(reader, b"source ./set_up\n")
    try:
        while select.select([reader], [], [], 60)[0]:
            shown += os.read(reader, 1 << 16).decode()
            if keys and keys[0][0] in shown:
                os.write(reader, keys.pop()[1].encode())
    except OSError:  # the shell has ended
        pass
    finally:
        shell.kill()
        shell.wait()
        os.close(reader)
    assert (folder / "noted").exists(), shown
    noted, asked = ((folder / name).read_text(encoding="utf-8") for name in ("noted", "asked"))
    return noted.removesuffix("\n"), asked.removesuffix("\n").split("|")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
@pytest.mark.parametrize(
    ("line", "said", "expected"),
    [
        ("podmeta tr", "train", "podmeta train "),
        ("podmeta train outer.pop", "outer.population_size=", "podmeta train outer.population_size="),
        ("podmeta train seed=1 experiment=ban", "experiment=bandit", "podmeta train seed=1 experiment=bandit "),
        ("podmeta evaluate agent=a_f", "", "podmeta evaluate agent=a_file.npz "),
    ],
)
def test_zsh_asks_with_the_words_up_to_the_cursor_and_falls_back_to_files(line, said, expected, tmp_path):
    assert after_a_tab_in_zsh(tmp_path, line, said) == (expected, line.split(" ")[1:])


def test_flags_are_completed_without_jax_or_hydra():
    code = "import sys; from podmeta.cli import main; main(['--complete', 'train', '--d']); "
    code += "print(*sorted({'jax', 'hydra', 'omegaconf'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "--dry-run\n\n"

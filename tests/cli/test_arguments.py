"""What the parsers of all commands share."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.cli.arguments import CommandParser, at_most_one, split_directories, split_words
from podmeta.errors import InputError

WORD = st.text(st.characters(codec="utf-8"), min_size=1)
KEYS = ("run", "to")


@given(st.lists(st.one_of(WORD, st.tuples(st.sampled_from((*KEYS, "seed")), WORD).map("=".join))))
def test_every_word_is_a_value_or_among_the_others_in_the_order_given(words):
    values, others = split_words(words, KEYS)
    assert others == [word for word in words if not word.startswith(("run=", "to="))]
    for key in KEYS:
        assert [f"{key}={value}" for value in values[key]] == [word for word in words if word.startswith(f"{key}=")]


@pytest.mark.parametrize("word", ["runs/first", "/runs/a=b", "first", ".", "runs/a/", "läufe/θ"])
def test_a_word_without_an_equals_sign_before_its_first_slash_is_a_directory(word):
    assert split_directories([word, "seed=1"]) == ([word], ["seed=1"])


@pytest.mark.parametrize(
    "word", ["seed=1", "run_dir=/a/b", "environment=gymnasium/CartPole-v1", "+a.b=1", "~a", "evaluation.settings=[{}]"]
)
def test_any_other_word_is_an_override(word):
    assert split_directories([word]) == ([], [word])


def test_a_key_that_is_given_twice_is_refused_with_both_values():
    assert at_most_one("to", []) is None
    assert at_most_one("to", ["a"]) == "a"
    with pytest.raises(InputError, match="to=a and to=b"):
        at_most_one("to", ["a", "b"])


def test_an_error_of_argparse_is_wrong_input_and_names_the_help():
    parser = CommandParser(prog="podmeta test", usage="podmeta test", description="")
    parser.add_argument("--json", action="store_true")
    with pytest.raises(InputError, match=r"--json.*podmeta test --help"):
        parser.parse_known_args(["--json=1"])


def test_the_end_of_the_help_is_made_only_where_help_is_asked_for():
    asked = []
    parser = CommandParser("podmeta test", "podmeta test", "", more=lambda: asked.append(1) or "the end")
    parser.parse_known_args(["word"])
    assert not asked
    assert parser.format_help().endswith("the end") and asked


def test_the_whole_parser_is_made_without_jax_and_hydra():
    program = (
        "import sys; from podmeta.cli.commands import make_parser; make_parser();"
        "print([name for name in ('jax', 'hydra', 'omegaconf', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"

"""Shell completion. A short script of the shell asks `podmeta --complete WORD ...`, which prints what may come next.

Completion libraries for argparse complete flags; most words of podmeta are KEY=VALUE. Hydra is imported only for the
names of presets.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import NoReturn

from podmeta.cli.arguments import CommandParser, config_dirs_in_use
from podmeta.errors import InputError

_BASH = """\
_podmeta() {
    local line="${COMP_LINE:0:COMP_POINT}" words current kept
    read -ra words <<< "$line"
    [[ "$line" == *" " ]] && words+=("")
    current="${words[${#words[@]} - 1]}"
    mapfile -t COMPREPLY < <(podmeta --complete "${words[@]:1}" 2>/dev/null)
    # Bash completes only what follows the last equals sign or colon.
    kept="${current%"${current##*[=:]}"}"
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    [[ "${COMPREPLY[*]}" == *[=.]* ]] && compopt -o nospace
}
complete -o default -F _podmeta podmeta
"""

_ZSH = """\
#compdef podmeta
_podmeta() {
    local -a found
    found=(${(f)"$(podmeta --complete "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)"})
    if (( ${#found} )); then
        compadd -S '' -- ${(M)found:#*[=.]}
        compadd -- ${found:#*[=.]}
    else
        compset -P '*='
        _files
    fi
}
compdef _podmeta podmeta
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH}
"""By shell, what `podmeta --completion` prints."""


class PrintScript(argparse.Action):
    """The flag that prints the script of a shell, and nothing else."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> NoReturn:
        """Prints the script that the flag's value names, and ends argparse."""
        print(SCRIPTS[str(values)], end="")
        parser.exit()


def candidates(parser: CommandParser, words: Sequence[str]) -> list[str]:
    """What the last word may become, sorted. Of dotted keys and KEY=VALUE, only the next part.

    Args:
      parser: of the whole command line.
      words: those after `podmeta`, up to the cursor. The last one may be empty.
    """
    *before, current = words or [""]
    commands = parser.commands()
    if not before:
        found: Iterable[str] = (*commands, *parser.flags())
    elif before[0] not in commands or not {"-h", "--help"}.isdisjoint(before):
        found = ()
    elif current.startswith("-"):
        found = commands[before[0]].flags()
    elif "=" in current:
        key = current.partition("=")[0]
        found = [f"{key}={value}" for value in _values(parser, before, key)]
    else:
        found = _next_parts(_keys(commands[before[0]]), current)
    return sorted({word for word in found if word.startswith(current)})


def _keys(command: CommandParser) -> list[str]:
    """Every key that a command takes."""
    if not command.takes_config:
        return list(command.keys)
    from podmeta.config.schema import schema_fields, section_of

    return [*command.keys, "experiment", "learner", "environment", "outer", "architecture"] + [
        key for key, field in schema_fields() if section_of(field) is None
    ]


def _next_parts(keys: Iterable[str], current: str) -> Iterable[str]:
    """Each key up to the next dot, or whole with an equals sign."""
    for key in keys:
        if key.startswith(current):
            dot = key.find(".", len(current))
            yield key[: dot + 1] if dot >= 0 else f"{key}="


def _values(parser: CommandParser, before: Sequence[str], key: str) -> Iterable[str]:
    """The values of a key, as far as they have names."""
    if key == "agent":
        from podmeta.storage.pretrained import list_pretrained

        return list_pretrained()
    if key == "checkpoint":
        return ("newest", "best")
    from podmeta.config.schema import GROUPS, schema_fields

    group = "evaluation" if key == "suite" else key
    if group == "experiment" or key == "suite" or group in GROUPS:
        from podmeta.config.presets import list_options

        try:
            with config_dirs_in_use(parser.parse_known_args(before)[0]):
                return list(list_options(group))
        except InputError:  # a word before is wrong, as the command itself will say
            return ()
    for other, field in schema_fields():
        if other == key:
            return ("true", "false") if field.type is bool else field.metadata["choices"]
    return ()

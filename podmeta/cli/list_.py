"""`podmeta list`: the learned algorithms that ship with podmeta."""

from podmeta.cli.arguments import Call, Commands
from podmeta.errors import InputError


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    commands.add_parser(
        "list",
        usage="podmeta list",
        help="print the learned algorithms that ship with podmeta",
        description="Prints the learned algorithms that ship with podmeta: what each is for, and its limits.",
    ).set_defaults(run=list_agents)


def list_agents(call: Call) -> None:
    """Prints them.

    Raises:
      InputError: there is a further word.
    """
    if call.words:
        raise InputError(f"podmeta list takes no arguments: remove {call.words[0]!r}")
    from podmeta.storage.pretrained import list_pretrained, load_pretrained

    for name in list_pretrained():
        card = load_pretrained(name).card
        print(f"{name}\n  {card.description}\n  limits: {card.limits}\n  {card.command} (seed {card.seed})")

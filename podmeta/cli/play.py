"""`podmeta play`: one lifetime of a learned algorithm."""

from podmeta.cli.arguments import Call, Commands, add_config_dir, add_trust, at_most_one, local_path
from podmeta.cli.console import PlainConsole
from podmeta.errors import InputError

_DESCRIPTION = """\
Runs a learned algorithm for one lifetime, and plots its rewards.

  agent        one of `podmeta list`, or an .npz file of `podmeta export`
  environment  as `podmeta train` takes it, such as bandit or gymnasium/CartPole-v1
  to           a PNG plot of its rewards"""


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "play",
        usage="podmeta play agent=NAME environment=NAME[/ID] [KEY=VALUE ...] [seed=N] [to=FILE.png] [--trust]",
        help="run a learned algorithm for one lifetime, and plot its rewards",
        description=_DESCRIPTION,
        keys=("agent", "to"),
        takes_config=True,
    )
    add_config_dir(parser)
    add_trust(parser, "run code that the card of somebody else's agent names as its learner")
    parser.set_defaults(run=play)


def play(call: Call) -> None:
    """Plays the lifetime and draws it.

    Raises:
      InputError: a word is wrong, or the algorithm does not fit the environment.
      PodmetaError: the environment does not answer.
    """
    given, overrides = call.split_words()
    agent, to = at_most_one("agent", given["agent"]), at_most_one("to", given["to"])
    target = local_path("to", to) if to else None
    if target is not None and target.suffix != ".png":
        raise InputError(f"to={target} must end in .png")
    if agent is None:
        raise InputError("name the learned algorithm: podmeta play agent=NAME; `podmeta list` prints them")
    from podmeta.config.compose import compose_job
    from podmeta.config.schema import MixtureConfig
    from podmeta.distributed.set_up import set_up

    job = compose_job(overrides)
    if isinstance(job.environment, MixtureConfig):
        raise InputError("environment=mixture is several environments: name one to play in")
    set_up(job, call.warn)
    from podmeta.agent import load_agent
    from podmeta.environments.kinds import with_known_kind
    from podmeta.evaluation.play import draw_lifetime, open_dm_environment, show_lifetime
    from podmeta.evaluation.play import play as play_lifetime

    environment_config = with_known_kind(job.environment)
    algorithm = load_agent(agent, call.flags.trust)
    with open_dm_environment(environment_config, job.seed) as environment:
        lifetime = play_lifetime(algorithm, environment, environment_config.lifetime_length, job.seed)
        show_lifetime(lifetime, PlainConsole())
    if target is not None:
        draw_lifetime(lifetime, target)
        call.tell(f"wrote {target}")

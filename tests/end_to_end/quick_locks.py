"""The `podmeta` command, whose locks in object stores are taken over after seconds instead of minutes."""

import sys

from podmeta import cli
from podmeta.storage import store_lock


def main() -> int:
    """Runs the command line of this process."""
    store_lock.SECONDS_BETWEEN_BEATS = 1.0
    store_lock.SECONDS_UNTIL_GONE = 10.0
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())

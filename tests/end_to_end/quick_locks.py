"""The `podmeta` command, whose locks in object stores are taken over after seconds instead of minutes."""

import sys

from podmeta.cli import main
from podmeta.storage import store_lock

if __name__ == "__main__":
    store_lock.SECONDS_BETWEEN_BEATS = 1.0
    store_lock.SECONDS_UNTIL_GONE = 10.0
    sys.exit(main())

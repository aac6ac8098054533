"""Keeps `python -m podmeta.cli` working, which is older than `python -m podmeta`."""

import sys

from podmeta.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Lets `python -m podmeta` stand for `podmeta`."""

import sys

from podmeta.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Lets `python -m podmeta.cli`, which was there before `python -m podmeta`, go on working."""

import sys

from podmeta.cli import main

if __name__ == "__main__":
    sys.exit(main())

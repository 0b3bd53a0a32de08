"""`python -m partimento`: the command line, where the console script is not on the path."""

import sys

from partimento.cli import main

if __name__ == "__main__":
    sys.exit(main())

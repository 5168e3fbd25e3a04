"""``python -m mt_core``: the command ``mt``, where another tool of that name is in the way."""

import sys

from mt_core.cli import main

if __name__ == "__main__":
    sys.exit(main())

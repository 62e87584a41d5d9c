"""`python -m edgebn` is the `edgebn` command."""

import sys

from edgebn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

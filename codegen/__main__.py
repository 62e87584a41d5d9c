"""`python -m codegen`: the same as `edgebn generate`."""

import sys

from edgebn.cli.main import main

sys.exit(main(["generate", *sys.argv[1:]]))

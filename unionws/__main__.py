"""``python -m unionws``."""

import sys

from unionws.cli import main

if __name__ == "__main__":
    sys.exit(main())

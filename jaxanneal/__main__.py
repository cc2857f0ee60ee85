"""``python -m jaxanneal``."""

import sys

from jaxanneal._demo.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""``python -m jaxanneal``."""

import sys

from jaxanneal._cli import main

if __name__ == "__main__":
    sys.exit(main())

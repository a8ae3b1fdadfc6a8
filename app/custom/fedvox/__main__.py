"""``python -m fedvox`` is the command ``fedvox``."""

import sys

from fedvox.commands.main import main

if __name__ == "__main__":
    sys.exit(main())

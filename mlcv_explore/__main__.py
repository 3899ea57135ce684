"""`python -m mlcv_explore …`: see mlcv_explore/command."""

import sys

from mlcv_explore.command import main

if __name__ == "__main__":  # workers import this module again under another name
    sys.exit(main())

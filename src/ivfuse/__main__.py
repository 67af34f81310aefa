"""``python -m ivfuse`` is the command ``ivfuse``."""

from ivfuse.cli.app import main

if __name__ == "__main__":
    main()

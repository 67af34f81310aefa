"""The command ``ivfuse``, also as ``python -m ivfuse``."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is imported ends with one line too."""
    try:
        from ivfuse.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("ivfuse: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

"""The command ``ivfuse``, also as ``python -m ivfuse``."""

import gc
import os
import sys

_COLLECTED_FROM = 50_000  # new objects; a start makes fewer, nearly all of which stay


def main() -> None:
    """Run the command line; an interrupt at any moment, imports included, ends with one line at most."""
    gc.set_threshold(_COLLECTED_FROM)  # collections would take an eighth of the time of a short run
    if sys.argv[1:2] != ["train"]:  # PyTorch may use OpenBLAS too
        # Loaded by NumPy, it starts a thread per core that spins for a while; our matrices are small.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from ivfuse.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("ivfuse: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        gc.freeze()  # the interpreter collects once more as it ends
        import signal

        # What is left is the end of the interpreter, where Python would print a traceback.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()

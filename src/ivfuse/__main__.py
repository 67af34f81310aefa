"""The command ``ivfuse``, also as ``python -m ivfuse``."""

import gc
import os
import sys

_COLLECTED_FROM = 200_000  # new objects; a start makes 60,000, nearly all of which stay


def main() -> None:
    """Run the command line; an interrupt at any moment, imports included, ends with one line at most."""
    gc.set_threshold(_COLLECTED_FROM)  # collections would take an eighth of the time of a short run
    if sys.argv[1:2] != ["train"]:  # PyTorch may use OpenBLAS too
        # Loaded by NumPy, it starts a thread per core that spins for a while; our matrices are small.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    codes: list[int] = []
    if "atexit" not in sys.modules:  # what is registered first is called last, after all threads have ended
        import atexit

        atexit.register(_leave, codes)
    try:
        from ivfuse.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("ivfuse: interrupted", file=sys.stderr)
        sys.exit(130)
    except SystemExit as end:
        if isinstance(end.code, int):
            codes.append(end.code)
        raise
    finally:
        import signal

        # What is left is the end of the interpreter, where Python would print a traceback.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _leave(codes: list[int]) -> None:
    """End the process at once: taking the interpreter apart would be another 20th of the time of a short run.

    Args:
        codes: the exit code; empty if the command ended otherwise, for which Python ends as ever.
    """
    if codes:
        from contextlib import suppress

        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # none, without a reader, or closed
                stream.flush()
        os._exit(codes[0])


if __name__ == "__main__":
    main()

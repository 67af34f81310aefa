"""The program of a process that works on images: a line of JSON in, a line of JSON out.

Images come and go as files in the folder of the request. It ends when the server closes its input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any, BinaryIO

from ivfuse.errors import IvfuseError


def main() -> None:
    """Answer messages until there are no more; the first one says how."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    messages = sys.stdin.buffer
    setup = json.loads(messages.readline())
    serve(_bench(setup), messages, answers)


def serve(bench: Any, messages: BinaryIO, answers: BinaryIO) -> None:
    """Say that the bench is ready, then answer one message after another."""
    _say(answers, {"ready": True})
    for line in messages:
        message = json.loads(line)
        try:
            reply = {"done": bench.do(message)}
        except IvfuseError as error:
            reply = {"problem": [422, bench.told(error, message)]}
        except MemoryError:
            reply = {"problem": [413, "This needs more memory than the server has."]}
        except Exception:
            traceback.print_exc()
            reply = {"problem": [500, "The server met an error that it did not expect; its log says more."]}
        _say(answers, reply)


def _bench(setup: dict[str, Any]) -> Any:
    """Set the threads, load what the first request would wait for."""
    import cv2

    cv2.setNumThreads(setup["threads"])
    from ivfuse.server.jobs import Bench

    bench = Bench(setup["max_pixels"], setup["threads"])
    bench.warm()
    return bench


def _say(answers: BinaryIO, reply: dict[str, Any]) -> None:
    answers.write(json.dumps(reply).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()

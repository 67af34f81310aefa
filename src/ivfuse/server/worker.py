"""The program of a worker process: one line of JSON in, one line of JSON out.

Images are passed as files in the folder of the request. The process ends when the server closes its input.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, BinaryIO

from ivfuse.errors import IvfuseError, MissingExtraError
from ivfuse.runtime.processes import is_out_of_memory, limit_memory, prepare_worker
from ivfuse.server.messages import TOO_MUCH_MEMORY, UNEXPECTED


def main() -> None:
    """Answer messages until there are no more; the first one holds the settings."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for a reply
    messages = sys.stdin.buffer
    setup = json.loads(messages.readline())
    prepare_worker(setup["threads"])
    serve(_job_runner(setup), messages, replies)


def serve(runner: Any, messages: BinaryIO, replies: BinaryIO) -> None:
    """Report that the worker is ready, then run one job after another."""
    _reply(replies, {"ready": True})
    for line in messages:
        message = json.loads(line)
        try:
            reply = {"result": runner.run(message)}
        except Exception as error:
            reply = _problem(runner, error, message)
        _reply(replies, reply)


def _problem(runner: Any, error: Exception, message: dict[str, Any]) -> dict[str, Any]:
    """The reply to a job that failed; after a lack of memory, the server replaces this process."""
    if is_out_of_memory(error):
        return {"problem": [413, TOO_MUCH_MEMORY], "replace": True}
    if isinstance(error, IvfuseError):
        status = 501 if isinstance(error, MissingExtraError) else 422
        return {"problem": [status, runner.error_message(error, message)]}
    traceback.print_exception(error)
    return {"problem": [500, UNEXPECTED]}


def _job_runner(setup: dict[str, Any]) -> Any:
    """Load what the first request would otherwise wait for."""
    from ivfuse.server.jobs import JobRunner

    runner = JobRunner(setup["max_pixels"], setup["threads"], setup["device"])
    runner.warm_up()
    limit_memory(setup["max_memory"])
    return runner


def _reply(replies: BinaryIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()

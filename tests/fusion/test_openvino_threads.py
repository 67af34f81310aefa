"""Processes that run OpenVINO at the same time share all cores: no thread is bound to one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys, threading
from contextlib import suppress
import numpy as np
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.onnx_method import OnnxMethod

seen, done = set(), threading.Event()
def watch():
    while not done.is_set():
        for task in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # the thread has ended meanwhile
                seen.add(tuple(sorted(os.sched_getaffinity(int(task)))))
watcher = threading.Thread(target=watch)
method = OnnxMethod(MethodInfo("m", "learned", "", ""), sys.argv[1], runtime="openvino", threads=1)
image = np.zeros((600, 800), np.float32)
method.fuse(image, image)  # while it compiles, OpenVINO pins a thread for a moment
watcher.start()
for _ in range(20):
    method.fuse(image, image)
done.set()
watcher.join()
print(json.dumps(sorted(seen)))
"""


@pytest.mark.skipif(not find_spec("openvino"), reason="no openvino")
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads and cores are listed on Linux only")
def test_two_processes_may_use_all_cores_while_they_fuse(max_graph: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(max_graph)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    cores = sorted(os.sched_getaffinity(0))
    for process in running:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert json.loads(out) == [cores]

"""A worker for tests: the field ``scale`` says what it does, ``sleep 0.5``, ``die`` or ``garble``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def say(reply: dict) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


sys.stdin.readline()
say({"ready": True})
for line in sys.stdin:
    message = json.loads(line)
    word, _, number = (message["options"]["scale"] or "").partition(" ")
    if word == "sleep":
        time.sleep(float(number))
    elif word == "die":
        sys.exit(1)
    elif word == "garble":
        print("not JSON", flush=True)
        continue
    (Path(message["folder"]) / "fused.png").write_bytes(b"an image")
    say({"result": {"method": "slow", "seconds": 0.0}})

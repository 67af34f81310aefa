"""Use an installed ivfuse as its users do, with nothing of the repository: commands, weights, the Python API.

    python .ci/smoke.py [TAG]

Run it by the Python of an environment that holds the wheel alone. With TAG, such as v0.1.0, the version must
be that of the tag.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def ivfuse(*arguments: str) -> str:
    """Run a command and return what it prints; a failure ends the program."""
    words = [sys.executable, "-m", "ivfuse", *arguments]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    line = f"ivfuse {' '.join(arguments)}"
    if done.returncode:
        sys.exit(f"failed with {done.returncode}: {line}\n{done.stdout}{done.stderr}")
    print(f"ok: {line}", flush=True)
    return done.stdout


def check(fact: bool, text: str) -> None:
    """End the program unless a fact holds."""
    if not fact:
        sys.exit(f"failed: {text}")


def main(tag: str | None) -> None:
    """Run all checks in the current folder."""
    import ivfuse as package

    root = Path(package.__file__).parent
    check(root.parent.name == "site-packages", f"ivfuse is at {root}, expected an installed package")
    version = ivfuse("--version").split()[-1]
    check(version == package.__version__, f"--version prints {version}, expected {package.__version__}")
    check(tag in (None, f"v{version}"), f"version {version}, expected that of the tag {tag}")
    check(json.loads(ivfuse("report", "--json"))["ivfuse"] == version, "ivfuse report has another version")
    ivfuse("demo", "-o", "demo")
    pair = (str(Path("demo", "night-ir.png")), str(Path("demo", "night-vi.png")))
    methods = [row["name"] for row in json.loads(ivfuse("methods", "--json"))]
    check("swift" in methods, "no method swift")
    for method in methods:  # all weights are there, and each is verified as it is loaded
        ivfuse("fuse", *pair, "-o", f"{method}.png", "--method", method)
    ivfuse("eval", "swift.png", *pair, "--json")
    ivfuse("register", *pair, "-o", "rig.json")
    fused = package.fuse(*pair)
    check(fused.ndim == 3 and 0 <= fused.min() < fused.max() <= 1, "the fused array is no color image")
    print(f"ivfuse {version} works with Python {sys.version.split()[0]} on {sys.platform}")


if __name__ == "__main__":
    start = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            main(sys.argv[1] if len(sys.argv) > 1 else None)
        finally:
            os.chdir(start)  # Windows removes no folder in which a process works

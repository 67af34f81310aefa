"""Check the sdist and the wheel in a folder: what they hold, size, version, and the links of the README.

    python .ci/check_dist.py dist [--tag v0.1.0]

Prints a line for each file, each warning and each fault; the exit code is 1 if there are faults.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 20_000_000  # bytes of a file; the weights are most of it
# What an sdist holds besides the package.
SDIST = frozenset(
    {"CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md", "hatch_build.py", "pyproject.toml"}
)
RELATIVE = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)")
SDIST_ALSO = frozenset({".gitignore"})  # Hatchling adds it


@dataclass(frozen=True)
class Distribution:
    """A file to be published.

    Attributes:
        name: of the file.
        size: in bytes.
        version: as its name states it.
        package: files of the package, relative to it.
        others: other files, relative to the root; without the metadata of a wheel.
        metadata: what PyPI shows, the README included.
    """

    name: str
    size: int
    version: str
    package: frozenset[str]
    others: frozenset[str]
    metadata: str


def read(path: Path) -> Distribution:
    """Read what an sdist or a wheel holds."""
    if path.suffix == ".whl":
        version, folder = path.name.split("-")[1], "ivfuse/"
        with zipfile.ZipFile(path) as wheel:
            names = set(wheel.namelist())
            metadata = wheel.read(f"ivfuse-{version}.dist-info/METADATA")
        names = {name for name in names if not name.startswith(f"ivfuse-{version}.dist-info/")}
    else:
        version, folder = path.name.removeprefix("ivfuse-").removesuffix(".tar.gz"), "src/ivfuse/"
        with tarfile.open(path) as sdist:
            files = [each.name for each in sdist.getmembers() if not each.isdir()]
            stated = sdist.extractfile(name) if (name := f"ivfuse-{version}/PKG-INFO") in files else None
            metadata = stated.read() if stated else b""
        names = {name.removeprefix(f"ivfuse-{version}/") for name in files}
    package = {name for name in names if name.startswith(folder)}
    inner = frozenset(name.removeprefix(folder) for name in package)
    others = frozenset(names - package)
    return Distribution(path.name, path.stat().st_size, version, inner, others, metadata.decode())


def tracked() -> frozenset[str]:
    """The files of the package that Git tracks, relative to it: weights, pages and data are among them."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT / "src" / "ivfuse", capture_output=True, text=True, check=True
    )
    return frozenset(filter(None, done.stdout.split("\0")))


def faults(found: Distribution, package: frozenset[str], tag: str | None = None) -> list[str]:
    """What is wrong with a distribution, a line each.

    Args:
        found: as read.
        package: the files that the package must consist of.
        tag: of the release, such as ``v0.1.0``, whose version it must have.
    """
    others = frozenset() if found.name.endswith(".whl") else SDIST
    lines = [f"lacks {name}" for name in sorted((package - found.package) | (others - found.others))]
    allowed = others | SDIST_ALSO if others else others
    lines += [f"holds {name}" for name in sorted((found.package - package) | (found.others - allowed))]
    if found.size > LARGEST:
        lines.append(f"has {found.size / 1e6:.1f} MB, expected at most {LARGEST / 1e6:.0f}")
    if tag is not None and tag != f"v{found.version}":
        lines.append(f"is of version {found.version}, expected that of the tag {tag}")
    lines += [f"has a relative link in its README: {path}" for path in RELATIVE.findall(found.metadata)]
    return lines


def main() -> int:
    """Check all distributions of a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tag")
    given = parser.parse_args()
    paths = sorted([*given.folder.glob("*.whl"), *given.folder.glob("*.tar.gz")])
    wrong = [] if len(paths) == 2 else [f"{given.folder}: {len(paths)} files, expected an sdist and a wheel"]
    package = tracked()
    for path in paths:
        found = read(path)
        print(f"{found.name}: {found.size / 1e6:.1f} MB, {len(found.package)} files of the package")
        wrong += [f"{found.name} {line}" for line in faults(found, package, given.tag)]
        if not re.search("^Project-URL: Source,", found.metadata, re.MULTILINE):
            print(
                f"{found.name} states no Source in [project.urls]: its README has no links to the repository"
            )
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The options of ``ivfuse benchmark`` on protocols: what is measured of what, for others to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.cli.flags import flag_of
from ivfuse.cli.terminal import echo
from ivfuse.errors import UsageError

if TYPE_CHECKING:
    from ivfuse.benchmark.plan import Plan
    from ivfuse.benchmark.protocol import Protocol

ProtocolFile = Annotated[
    Path | None,
    typer.Option(
        "--protocol",
        metavar="FILE",
        help="Measure by a protocol, of exactly its sources; --data names a folder for each of its sets.",
    ),
]
SaveProtocol = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the protocol of this benchmark, a .toml file, for others."),
]


def read(path: Path | None, stated: Mapping[str, Any]) -> Protocol | None:
    """Read a protocol, if a file is named.

    Args:
        path: the file.
        stated: option -> value, of those that a protocol states; ``None`` or false where it was not given.

    Raises:
        InputError: the file cannot be used.
        UsageError: an option was given that the protocol states.
    """
    if path is None:
        return None
    if given := [name for name, value in stated.items() if value not in (None, False)]:
        raise UsageError(
            f"{flag_of(given[0])} and --protocol: give one of the two, since a protocol states it"
        )
    from ivfuse.benchmark.protocol_file import read_protocol

    return read_protocol(path)


def make_plan(
    protocol: Protocol | None,
    roots: Sequence[Path],
    out: Path,
    methods: str,
    fused: Sequence[str],
    stated: Mapping[str, Any],
    threads: int | None,
    device: str,
) -> Plan:
    """The plan by a protocol, or by the options that it would state; see :func:`read`."""
    from ivfuse.benchmark import plan

    if protocol is not None:
        made = plan.plan_by_protocol(protocol, roots, out, methods, fused, threads=threads, device=device)
        _tell_program(protocol, made)
        return made
    return plan.make_plan(
        roots,
        out,
        methods,
        fused,
        stated["metrics"],
        stated["convention"] or (),
        stated["degrade"] or (),
        recursive=stated["recursive"],
        ir_window=stated["ir_window"],
        threads=threads,
        device=device,
        seed=stated["seed"] or 0,
    )


def _tell_program(read: Protocol, plan: Plan) -> None:
    """Say if another program measured before, whose numbers may differ."""
    now = plan.protocol
    if now is not None and (read.ivfuse, read.code) != (now.ivfuse, now.code):
        other = f"ivfuse {read.ivfuse}" if read.ivfuse != now.ivfuse else "other code of the metrics"
        echo(f"protocol {read.hash} was made with {other}: measured by {now.hash} here", err=True)


def save(plan: Plan, path: Path | None) -> None:
    """Write the protocol of a plan, if a file is named."""
    if path is not None and plan.protocol is not None:
        from ivfuse.benchmark.protocol_file import write_protocol

        write_protocol(plan.protocol, path)

"""The command ``ivfuse``: finds the verb, imports only its module, turns errors into a line and an exit code.

Exit codes: 0 done, 1 some pairs failed, 2 wrong use, 130 interrupted, 141 without a reader of the output.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from ivfuse.cli.cleanup import releasing
from ivfuse.cli.flags import flag_of
from ivfuse.cli.parameters import PlainFirst
from ivfuse.cli.terminal import echo
from ivfuse.errors import IvfuseError, MissingExtraError, UnknownNameError, UsageError

# A verb and the function that carries it out. Their modules keep heavy imports inside functions.
VERBS = {
    "fuse": "ivfuse.cli.fuse:fuse",
    "video": "ivfuse.cli.video:video",
    "register": "ivfuse.cli.register:register",
    "eval": "ivfuse.cli.evaluate:evaluate",
    "benchmark": "ivfuse.cli.benchmark:benchmark",
    "panel": "ivfuse.cli.panel:panel",
    "manifest": "ivfuse.cli.manifest:manifest",
    "degrade": "ivfuse.cli.degrade:degrade",
    "datasets": "ivfuse.cli.datasets:datasets",
    "info": "ivfuse.cli.info:info",
    "bench": "ivfuse.cli.bench:bench",
    "demo": "ivfuse.cli.demo:demo",
    "methods": "ivfuse.cli.methods:methods",
    "metrics": "ivfuse.cli.metrics:metrics",
    "serve": "ivfuse.cli.serve:serve",
    "align-channels": "ivfuse.cli.align:align_channels",
    "train": "ivfuse.cli.train:train",
    "export": "ivfuse.cli.export:export",
    "convert": "ivfuse.cli.convert:convert",
    "push": "ivfuse.cli.push:push",
    "report": "ivfuse.cli.report:report",
}

# What the help says of each verb, in a line, by what people want to do.
SECTIONS = {
    "Fuse": {
        "demo": "Render a street by night and by day, and fuse it.",
        "fuse": "Fuse a pair of images, or all pairs of a folder.",
        "video": "Fuse two videos, live cameras or topics of bags.",
        "register": "Find where the thermal lies on the visible.",
        "info": "Describe a thermal file, a video or a bag.",
        "methods": "List the fusion methods, or describe one.",
        "serve": "Serve a web page and an HTTP API.",
    },
    "Measure": {
        "eval": "Score fused images or videos.",
        "metrics": "List the metrics, or explain one.",
        "benchmark": "Compare methods on your pairs, with a report.",
        "panel": "Draw the figure of a paper: scenes by methods.",
        "degrade": "Lay rain, haze, noise and other faults over pairs.",
        "datasets": "List known data sets with sources and terms.",
        "bench": "Measure time and memory on this machine.",
    },
    "Train": {
        "train": "Train a network from a recipe, or go on with it.",
        "export": "Write a trained network as an ONNX graph.",
        "convert": "Convert weights of the authors' releases.",
        "align-channels": "Make patches of another set look like yours.",
        "push": "Publish weights on the Hugging Face Hub.",
    },
    "More": {
        "manifest": "List pairs in a file, for runs on a cluster.",
        "report": "Describe this installation, for reports of bugs.",
    },
}
_VERSION = "--version"
_NO_READER = 141  # as shells show the end of programs by SIGPIPE
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # of a disk that takes no more output
WRONG_USE = (UsageError, UnknownNameError, MissingExtraError)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; always ends in SystemExit.

    Args:
        arguments: the words after ``ivfuse``; ``None`` takes those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _replace_missing_streams()
    try:
        build(words[0] if words else None)(args=words, prog_name="ivfuse")
    except KeyboardInterrupt:  # while a module was imported
        typer.echo("ivfuse: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:  # while wrong use was explained
        sys.exit(_NO_READER)
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        _give_up(sys.stdout, error)
    finally:
        _flush()


def build(verb: str | None = None) -> typer.Typer:
    """The application with one verb, with none to print the version, or with all if ``verb`` is not one."""
    app = typer.Typer(
        cls=_Group,
        add_completion=verb not in VERBS,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_ivfuse)
    verbs = () if verb == _VERSION else (verb,) if verb in VERBS else VERBS
    for name in verbs:
        module, function = VERBS[name].split(":")
        app.command(name, cls=_Verb)(_guarded(getattr(import_module(module), function)))
    return app


class _Group(PlainFirst, TyperGroup):
    """The command, whose help shows its verbs in sections; it ends quietly without a reader."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the options, some of which print."""
        with _ending_without_reader():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with _ending_without_reader():
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs under the titles of :data:`SECTIONS`, in one column."""
        width = max(len(verb) for verb in VERBS)
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(verb.ljust(width), text) for verb, text in verbs.items()])


class _Verb(PlainFirst, TyperCommand):
    """A verb whose help shows options of one ``rich_help_panel`` under its name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, options, then the other groups in the order of their first option."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            kind = "Arguments" if param.param_type_name == "argument" else "Options"
            if (record := param.get_help_record(ctx)) is not None:
                panel = getattr(param, "rich_help_panel", None)
                groups.setdefault(panel if isinstance(panel, str) else kind, []).append(record)
        for title, rows in groups.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _print_version(wanted: bool) -> None:
    if wanted:
        import ivfuse

        typer.echo(f"ivfuse {ivfuse.__version__}")
        raise typer.Exit


def _ivfuse(
    version: Annotated[
        bool,
        typer.Option(_VERSION, callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Infrared and visible image fusion.

    \b
    Examples:
      ivfuse demo -o demo
      ivfuse fuse demo/night-ir.png demo/night-vi.png -o fused.png
      ivfuse eval fused.png demo/night-ir.png demo/night-vi.png
    """


def _guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb whose errors and interrupts end the process with one line and an exit code."""

    @functools.wraps(verb)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with releasing():
                verb(*args, **kwargs)
        except IvfuseError as error:
            typer.echo(f"ivfuse: error: {error.render(flag_of)}", err=True)
            raise typer.Exit(2 if isinstance(error, WRONG_USE) else 1) from error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:  # every look at such a path fails, wherever it comes first
                raise
            echo(f"ivfuse: error: {error.filename}: {error.strerror}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            typer.echo("ivfuse: interrupted", err=True)
            raise typer.Exit(130) from None

    return run


@contextmanager
def _ending_without_reader() -> Iterator[None]:
    """End where the reader of the output has gone away (``| head -1``); Typer would report a failure."""
    try:
        yield
    except BrokenPipeError:
        if _lost_reader():
            raise typer.Exit(_NO_READER) from None
        typer.echo("ivfuse: error: a connection was closed by its other end", err=True)
        raise typer.Exit(1) from None


def _lost_reader() -> bool:
    """Whether an output of this process has no reader left; so it is assumed where systems do not tell."""
    import select

    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # replaced by one without a file
            poll.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _replace_missing_streams() -> None:
    """Discard output for which the process was started without a file (``>&-``)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # until the end


def _flush() -> None:
    """Flush the output."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            _give_up(stream, error)


def _give_up(stream: TextIO, error: OSError) -> None:
    """Discard what a stream does not take; a reader that has gone away (``| head -1``) is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if not isinstance(error, BrokenPipeError):
        typer.echo(f"ivfuse: error: the output cannot be written: {error.strerror}", err=True)
        sys.exit(1)

"""``ivfuse serve``: the web page and its API."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all networks.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that work on images; else one a core, 4 at most.")
    ] = None,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait; further ones get 429.")] = 16,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            envvar="IVFUSE_TOKEN",
            help="Ask clients of the API for this token (or IVFUSE_TOKEN).",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Let pages of this origin call the API; may be repeated."),
    ] = None,
    max_upload: Annotated[
        float, typer.Option(metavar="MB", help="Largest request, all its images together, in MB.")
    ] = 64,
    max_pixels: Annotated[float, typer.Option(metavar="MP", help="Largest image, in megapixels.")] = 50,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that a request may wait, and then be worked on.")
    ] = 60,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Serve a web page that fuses images, and an API that programs call.

    Only this computer can reach it unless --host says otherwise. Ctrl-C ends it. Exit code: 0 ended, 1 it
    could not start, 2 wrong use, such as a port that is taken.

    \b
    Examples:
      ivfuse serve
      ivfuse serve --port 9000 --workers 2 --queue 8
      IVFUSE_TOKEN=secret ivfuse serve --host 0.0.0.0
      curl -F ir=@thermal.png -F vi=@visible.jpg -o fused.png http://127.0.0.1:8000/api/fuse
    """
    from ivfuse.cli.extras import serving

    with serving():
        from ivfuse.server.server import run
        from ivfuse.server.settings import MB, MP, Settings
    settings = Settings(
        host=host,
        port=port,
        workers=workers or 0,
        queue=queue,
        token=token or None,
        cors=tuple(cors or ()),
        max_upload=round(max_upload * MB),
        max_pixels=round(max_pixels * MP),
        timeout=timeout,
    )
    if not settings.loopback and settings.token is None:
        typer.echo(
            "ivfuse: note: anyone who can reach this address can use it; --token asks for one", err=True
        )

    def tell(url: str) -> None:
        if not quiet:
            count = settings.processes
            typer.echo(
                f"ivfuse serves at {url} ({count} process{'es' * (count > 1)}, queue {queue};"
                f" API at {url}/docs)"
            )

    run(settings, tell)

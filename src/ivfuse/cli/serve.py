"""``ivfuse serve``: the web page and the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from ivfuse.cli import method_options


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all networks.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 for any free one.")] = 8000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; default: one per CPU, at most 4.")
    ] = None,
    queue: Annotated[
        int, typer.Option(min=0, help="Requests that may wait for a worker; further ones get status 429.")
    ] = 16,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            envvar="IVFUSE_TOKEN",
            help="Bearer token that API clients must send; or set IVFUSE_TOKEN.",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Allow pages of this origin to call the API; may be repeated."),
    ] = None,
    max_upload: Annotated[
        float, typer.Option(metavar="MB", help="Size limit of a request, all its images together, in MB.")
    ] = 64,
    max_pixels: Annotated[
        float, typer.Option(metavar="MP", help="Size limit of an image, in megapixels.")
    ] = 50,
    max_memory: Annotated[
        float,
        typer.Option(metavar="GB", help="Memory of a worker for one request, in GB (Linux)."),
    ] = 6,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="S", help="Seconds that a request may wait, and again that it may be processed."
        ),
    ] = 60,
    reuse_port: Annotated[
        bool, typer.Option("--reuse-port", help="Let further servers listen at the same port (Linux).")
    ] = False,
    device: method_options.DeviceName = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Serve a web page and an HTTP API that fuse images.

    By default only this computer can reach the server; see --host. Ctrl-C stops it. Exit code: 0 stopped,
    1 could not start, 2 wrong use, such as a port that is taken.

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
        from ivfuse.server.settings import GB, MB, MP, Settings
    settings = Settings(
        host=host,
        port=port,
        workers=workers or 0,
        queue=queue,
        token=token or None,
        cors=tuple(cors or ()),
        max_upload=round(max_upload * MB),
        max_pixels=round(max_pixels * MP),
        max_memory=round(max_memory * GB),
        timeout=timeout,
        reuse_port=reuse_port,
        device=device,  # type: ignore[arg-type]  # checked by the settings
    )
    if not settings.loopback and settings.token is None:
        typer.echo(
            "ivfuse: note: anyone who can reach this address can use the server; --token restricts it",
            err=True,
        )

    def announce(url: str) -> None:
        if not quiet:
            count = settings.worker_count
            typer.echo(
                f"ivfuse serves at {url} ({count} worker{'s' * (count > 1)}, queue {queue};"
                f" API at {url}/docs)"
            )

    run(settings, announce)

"""`kiseki up`: the server and its web app in one process, with nothing else to install."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("up")
@click.argument("directory", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all.")
@click.option("--port", default=7117, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="Answer to it too.")
@click.option("--base-path", default="", metavar="PATH", help="Path under which a proxy shows the server.")
@click.option("--no-local-runs", is_flag=True, help="Leave out the runs that this user's scripts keep here.")
@click.option("--browser/--no-browser", default=False, help="Open the page in a browser.")
def command(
    directory: Path | None,
    host: str,
    port: int,
    allowed_hosts: tuple[str, ...],
    base_path: str,
    no_local_runs: bool,
    browser: bool,
) -> None:
    """Show this user's runs live in a browser, and take in what other machines send.

    DIR is the folder of the store; without it, this user's own store is served.
    """
    from kiseki.app import serve

    serve(
        directory,
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
        base_path=base_path,
        local_roots=not no_local_runs,
        open_browser=browser,
        announce=click.echo,
    )

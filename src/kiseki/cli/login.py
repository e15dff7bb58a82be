"""`kiseki login`: keeps an API key for a server, once that server has taken it."""

from __future__ import annotations

import os
import sys

import click


@click.command("login")
@click.argument("base_url", required=False, metavar="[URL]")
def command(base_url: str | None) -> None:
    """Save the API key of the server at URL (else KISEKI_BASE_URL).

    The key is asked for on a terminal, else read from standard input; other users could see an argument.
    """
    url = base_url or os.environ.get("KISEKI_BASE_URL")
    if not url:
        raise click.ClickException("which server? kiseki login http://host:7117 (or set KISEKI_BASE_URL)")
    from kiseki.client.api import Api
    from kiseki.system.credentials import KEY_PATTERN, normal_url, save_key

    url = normal_url(url)
    key = _ask(url).strip()
    if not KEY_PATTERN.fullmatch(key):
        raise click.ClickException("that is no key: one is kk_ and 40 hex digits (`kiseki key create`)")
    answer = Api(base_url=url, api_key=key).request("GET", "/api/v1/server")
    if not answer.get("authenticated"):
        raise click.ClickException(f"{url} does not take this key; nothing was saved")
    save_key(url, key)
    click.echo(f"key for {url} saved")


def _ask(url: str) -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        answer: str = click.prompt(f"API key for {url}", hide_input=True)
        return answer
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line.strip():
        raise click.ClickException("no key on standard input")
    return line

"""`kiseki key`: makes, lists and revokes the API keys of a server."""

from __future__ import annotations

import getpass
import platform

import click

from kiseki.cli.output import json_option, print_json, print_table, time_text


@click.group("key")
def command() -> None:
    """Make, list and revoke API keys (KISEKI_BASE_URL names the server, else it is this user's own)."""


@command.command("create")
@click.argument("name", required=False)
@json_option
def create(name: str | None, as_json: bool) -> None:
    """Make a key and print it; it is never shown again."""
    from kiseki.client.api import Api

    made = Api().request("POST", "/api/v1/keys", {"name": name or f"{getpass.getuser()}@{platform.node()}"})
    if as_json:
        print_json(made)
    else:
        click.echo(made["key"])


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List keys: who they are for and when they were used, never the keys themselves."""
    from kiseki.client.api import Api

    answer = Api().request("GET", "/api/v1/keys")
    keys = answer["keys"] if isinstance(answer, dict) else answer
    if as_json:
        print_json(keys)
        return
    if not keys:
        click.echo("no keys")
        return
    print_table(
        ("ID", "NAME", "CREATED", "LAST USED", "REVOKED"),
        [
            (
                str(key["id"]),
                key["name"],
                time_text(key["created"]),
                time_text(key["used"]),
                time_text(key["revoked"]),
            )
            for key in keys
        ],
    )


@command.command("revoke")
@click.argument("key_id", metavar="ID", type=int)
def revoke(key_id: int) -> None:
    """Make a key useless from now on; `kiseki key list` shows the ids."""
    from kiseki.client.api import Api

    Api().request("DELETE", f"/api/v1/keys/{key_id}")
    click.echo(f"key {key_id} revoked")

"""The `kiseki` program: finds the command's module, runs it, and turns every failure into one line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from kiseki import __version__

COMMANDS = (
    "up",
    "demo",
    "runs",
    "show",
    "logs",
    "files",
    "reproduce",
    "export",
    "sync",
    "login",
    "key",
    "rebuild",
    "doctor",
)


class _Program(click.Group):
    """Imports a command's module when it is asked for; the modules load what is heavy when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"kiseki.cli.{cmd_name}").command
        return command


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def program() -> None:
    """Kiseki tracks machine-learning experiments: log a training, watch it live, lose nothing."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0, 1 after an error (one line on stderr), 130 after Ctrl-C."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code. `KISEKI_DEBUG=1` lets an error through with its traceback."""
    if "_KISEKI_COMPLETE" in os.environ:  # the shell asks for completions
        program.main(prog_name="kiseki")
    try:
        # Not `program.main`, which hides that a pipe was closed.
        with program.make_context("kiseki", list(arguments)) as context:
            program.invoke(context)
        if sys.stdout is not None:  # None where it was closed before Python began
            sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 1
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:  # the reader of a pipe, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("KISEKI_DEBUG"):
            raise
        click.echo(f"kiseki: {_one_line(error)}", err=True)
        return 1
    return 0


def _one_line(error: Exception) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} ({error.ctx.command_path} --help says what it takes)"
    if isinstance(error, click.ClickException):
        return error.format_message()
    said = " ".join(str(error).split())
    ours = type(error).__module__.startswith("kiseki.")
    if said and (ours or isinstance(error, (OSError, ValueError, RuntimeError))):
        return said
    return f"{type(error).__name__}: {said} (KISEKI_DEBUG=1 shows where)"

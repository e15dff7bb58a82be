"""The command line: one module per command; importing it loads none of the server."""

from kiseki.cli.program import main

__all__ = ["main"]

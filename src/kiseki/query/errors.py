"""What a query answers when what was asked does not exist or makes no sense."""

from __future__ import annotations


class NotFound(LookupError):
    """No such project or run; the message names it."""

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidQuery(ValueError):
    """A question that has no answer; the message names the part and what it takes."""

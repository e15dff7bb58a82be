"""What the way in which code ends makes of a run: its state, exit code and reason."""

from __future__ import annotations

MAX_REASON = 1000

Ending = tuple[str, "int | None", "str | None"]
"""State, exit code and reason."""


def ending_of(error: BaseException | None) -> Ending:
    """State, exit code and reason of a run that ends with `error` in flight."""
    if error is None:
        return "finished", 0, None
    if isinstance(error, SystemExit):
        code = exit_status(error.code)
        return ("failed" if code else "finished"), code, None
    if isinstance(error, KeyboardInterrupt):
        return "killed", 130, "Ctrl-C"
    return "failed", 1, f"{type(error).__name__}: {error}"[:MAX_REASON]


def exit_status(code: object) -> int:
    """The exit status that `sys.exit(code)` gives."""
    if code is None:
        return 0
    return code if isinstance(code, int) else 1

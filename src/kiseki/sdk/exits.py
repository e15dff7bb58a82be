"""How a process ends, and what that makes of its runs: exit, exception, Ctrl-C, SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, NoReturn

from kiseki.sdk import current
from kiseki.sdk.ending import Ending, ending_of, exit_status
from kiseki.sdk.finish import finish_bound

_ending: Ending | None = None
_registered = False
_previous_hook: Any = None
_previous_exit: Any = None


def install() -> None:
    """Watch the ways in which this process may end, while a run is active."""
    global _registered, _previous_hook, _previous_exit
    if not _registered:
        _registered = True
        atexit.register(_end_all)
    if _previous_hook is None:
        _previous_hook, sys.excepthook = sys.excepthook, _note_exception
    if _previous_exit is None:
        _previous_exit, sys.exit = sys.exit, _note_exit
    # As the first process of a container it would be deaf to SIGTERM without a handler; that is kept.
    if (
        threading.current_thread() is threading.main_thread()
        and os.getpid() != 1
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, _on_sigterm)
    end_with_multiprocessing()


def uninstall() -> None:
    """Put back what `install` replaced, where nobody else has replaced it since."""
    global _previous_hook, _previous_exit
    if sys.excepthook is _note_exception:
        sys.excepthook, _previous_hook = _previous_hook, None
    if sys.exit is _note_exit:
        sys.exit, _previous_exit = _previous_exit, None
    let_go_of_sigterm()


def let_go_of_sigterm() -> None:
    """Leave SIGTERM to the system again, where it is still ours.

    So in every forked child: a pool's worker waits for its queue in C, where a handler in Python runs only
    after a wait that its signal came just too early to interrupt, and `Pool.terminate` would hang.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is _on_sigterm
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_with_multiprocessing() -> None:
    """See to it that runs end in a child of `multiprocessing`, which leaves without `atexit`."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, _end_all_in_flight, exitpriority=0)


def _end_all() -> None:
    _end_each(_ending or ending_of(_uncaught()))


def _end_all_in_flight() -> None:
    _end_each(_ending or ending_of(sys.exc_info()[1]))


def _uncaught() -> BaseException | None:
    """The exception that ends this script, where another library's hook kept it from ours."""
    if hasattr(sys, "ps1"):  # a session in which earlier lines failed
        return None
    error = getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


def _end_each(ending: Ending) -> None:
    deadline = None
    for run in list(current.active):
        if deadline is None:
            deadline = time.monotonic() + finish_bound(run.settings.finish_timeout)
        run.end(*ending, bound=max(0.0, deadline - time.monotonic()))


def _note_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    global _ending
    _ending = ending_of(error)
    (_previous_hook or sys.__excepthook__)(kind, error, trace)


def _note_exit(status: Any = None, /) -> NoReturn:
    global _ending
    code = exit_status(status)
    _ending = ("failed" if code else "finished", code, None)
    raise SystemExit(status)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    runs = list(current.active)
    for run in runs[:-1]:
        run.end_by_signal("SIGTERM", _nothing)
    if runs:
        runs[-1].end_by_signal("SIGTERM", _die)
    else:
        _die()


def _nothing() -> None:
    """What follows for all but the last run."""


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)

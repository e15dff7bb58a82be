"""Forks: the parent's runs are held across one, and the child's begin a lane of their own when they log."""

from __future__ import annotations

import os
import signal

from kiseki.sdk import current, exits

_installed = False
_mask: set[int] | None = None


def install() -> None:
    """Register the hooks, once in a process."""
    global _installed
    if not _installed and hasattr(os, "register_at_fork"):
        _installed = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def _before() -> None:
    global _mask
    current.lock.acquire()
    # Python forgets a signal that reaches a child before these hooks have run; a blocked one waits.
    _mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    for run in current.active:
        run.lock_for_fork()


def _in_parent() -> None:
    for run in current.active:
        run.unlock_after_fork()
    _restore_mask()
    current.lock.release()


def _in_child() -> None:
    exits.let_go_of_sigterm()
    _restore_mask()
    for run in current.active:
        run.continue_in_child()
    current.lock.release()


def _restore_mask() -> None:
    if _mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _mask)

"""Forks: the parent's runs are held across one, and the child's begin a lane of their own when they log."""

from __future__ import annotations

import os

from kiseki.sdk import current, exits

_installed = False


def install() -> None:
    """Register the hooks, once in a process."""
    global _installed
    if not _installed and hasattr(os, "register_at_fork"):
        _installed = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def _before() -> None:
    current.lock.acquire()
    for run in current.active:
        run.lock_for_fork()


def _in_parent() -> None:
    for run in current.active:
        run.unlock_after_fork()
    current.lock.release()


def _in_child() -> None:
    exits.let_go_of_sigterm()
    for run in current.active:
        run.continue_in_child()
    current.lock.release()

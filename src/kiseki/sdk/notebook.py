"""A notebook's or IPython session's executed cells, kept as a notebook file beside the run.

The format is nbformat 4.5: <https://nbformat.readthedocs.io/en/latest/format_description.html>.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kiseki.sdk.terminal import warn_once

SESSION_HISTORY: Final = "_session_history.ipynb"
_MAX_BYTES: Final = 10 * 1024 * 1024


def ipython_shell() -> Any:
    """The running IPython shell, None where there is none; IPython is never imported for this."""
    module = sys.modules.get("IPython")
    get = getattr(module, "get_ipython", None)
    try:
        return get() if get is not None else None
    except Exception:
        return None


def notebook_name(environ: Mapping[str, str]) -> str:
    """Path or name of the notebook that this kernel belongs to, as far as its front end tells, else "".

    `KISEKI_NOTEBOOK_NAME` says it where nothing else does.
    """
    shell = ipython_shell()
    named = environ.get("KISEKI_NOTEBOOK_NAME") or environ.get("WANDB_NOTEBOOK_NAME") or ""
    if shell is None or named:
        return named if shell is not None else ""
    try:
        told = shell.user_ns.get("__vsc_ipynb_file__")  # VS Code
    except AttributeError:
        told = None
    session = environ.get("JPY_SESSION_NAME", "")  # Jupyter Server 2
    return told if isinstance(told, str) and told else session if session.endswith(".ipynb") else ""


class SessionHistory:
    """Writes every cell that is executed, at the latest when it starts, into `_session_history.ipynb`.

    The file is replaced whole by a rename, so what was executed is there after a kill too.
    """

    def __init__(self, shell: Any, folder: Path) -> None:
        """`shell` is IPython's; `folder` is made with the first cell."""
        self._shell = shell
        self._path = folder / SESSION_HISTORY
        self._cells = _cells_so_far(shell)
        self._failed = False

    def start(self) -> None:
        """Write the cells so far, and take part in the shell's events."""
        self._write()
        self._shell.events.register("pre_run_cell", self._before_cell)

    def stop(self) -> None:
        """Leave the shell alone."""
        try:
            self._shell.events.unregister("pre_run_cell", self._before_cell)
        except ValueError:
            pass

    def _before_cell(self, info: Any = None) -> None:
        if getattr(info, "store_history", True) and isinstance(getattr(info, "raw_cell", None), str):
            # The shell's own count is, by version, that of this cell or of the next.
            number = self._cells[-1][0] + 1 if self._cells else 1
            self._cells.append((number, info.raw_cell))
            self._write()

    def _write(self) -> None:
        if self._failed:
            return
        import json

        text = json.dumps(_as_notebook(self._cells), ensure_ascii=False, indent=1) + "\n"
        data = text.encode("utf-8", "backslashreplace")
        try:
            if len(data) > _MAX_BYTES:
                raise OSError(f"they are more than {_MAX_BYTES // 2**20} MB")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Beside `files/`, whose content is sent as it is found.
            temporary = self._path.parent.parent.parent / f"{SESSION_HISTORY}.{os.getpid()}.tmp"
            temporary.write_bytes(data)
            os.replace(temporary, self._path)
        except OSError as error:
            self._failed = True
            warn_once(("notebook", str(self._path)), f"the cells are not kept any further: {error}")


def keep_session_history(run_dir: Path) -> SessionHistory | None:
    """Begin to keep the cells of this session in a run directory; None where this is no such session."""
    shell = ipython_shell()
    if shell is None:
        return None
    try:
        history = SessionHistory(shell, run_dir / "files" / "code")
        history.start()
    except Exception as error:  # another shell that only looks like IPython's
        warn_once("notebook", f"the cells of this session are not kept: {error}")
        return None
    return history


def _cells_so_far(shell: Any) -> list[tuple[int, str]]:
    manager = getattr(shell, "history_manager", None)
    raw = list(getattr(manager, "input_hist_raw", None) or [])
    return [(number, str(cell)) for number, cell in enumerate(raw) if number and cell]


def _as_notebook(cells: list[tuple[int, str]]) -> dict[str, Any]:
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{place}",
                "execution_count": number,
                "metadata": {},
                "outputs": [],
                "source": source.splitlines(keepends=True),
            }
            for place, (number, source) in enumerate(cells)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "version": sys.version.split()[0]},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }

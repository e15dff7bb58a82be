"""A notebook's cells, run in a real Jupyter kernel by nbclient, are kept beside the run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from kiseki.records import read_run
from kiseki.sdk.notebook import keep_session_history, notebook_name

INIT = "import kiseki, os\nrun = kiseki.init(project='p', mode='offline')"


def _execute(folder: Path, *cells: str) -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(book, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()


def test_cells_are_kept_also_the_one_in_which_the_kernel_was_killed(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", str(workdir / "学習 ノート.ipynb"))
    cells = ["x = 'é \"quoted\"'", INIT, "run.log({'a': 1})\n\n# done", "os.kill(os.getpid(), 9)"]
    with pytest.raises((DeadKernelError, CellExecutionError)):
        _execute(workdir, *cells)
    (folder,) = (workdir / "kiseki").glob("run-*")
    kept = nbformat.read(folder / "files" / "code" / "_session_history.ipynb", as_version=4)
    nbformat.validate(kept)
    assert [cell.source for cell in kept.cells] == cells
    assert [cell.execution_count for cell in kept.cells] == [1, 2, 3, 4]
    assert read_run(folder).fold.environment["notebook"].endswith("学習 ノート.ipynb")
    assert [path.name for path in folder.iterdir() if "tmp" in path.name] == []


def test_cells_are_not_kept_where_code_is_not_to_be_saved_nor_after_the_end(workdir: Path) -> None:
    off = INIT.replace("mode=", "save_code=False, mode=")
    _execute(workdir, off, "run.finish()", INIT, "run.finish()", "z = 3")
    (kept,) = workdir.glob("kiseki/run-*/files/code/_session_history.ipynb")
    sources = ["".join(cell["source"]) for cell in json.loads(kept.read_text())["cells"]]
    assert sources == [off, "run.finish()", INIT, "run.finish()"]


def test_outside_a_notebook_nothing_is_kept(tmp_path: Path) -> None:
    assert keep_session_history(tmp_path) is None
    assert notebook_name({"JPY_SESSION_NAME": "a.ipynb", "KISEKI_NOTEBOOK_NAME": "b.ipynb"}) == ""
    assert os.listdir(tmp_path) == []

"""`restore`: a file of a run back onto this disk, from the run directory that is here or from a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from kiseki.sdk import current
from kiseki.sdk.errors import Error

if TYPE_CHECKING:
    from kiseki.sdk.run import Run


def restore(
    name: str, run_path: str | None = None, replace: bool = False, root: str | None = None
) -> TextIO | None:
    """Return the file `name` of a run, opened for reading, after a download to `root` if it is not there.

    `run_path` is `entity/project/id`, else the current run; `root` is the current run's folder, else the
    working folder. A file that is there is taken as it is unless `replace`. None in a disabled run. Raises
    ValueError where the run has no such file, or no run is named; kiseki.Error where no server answers.
    """
    run = current.current
    if run is not None:
        return restore_for(run, name, run_path, replace, root)
    if run_path is None:
        raise ValueError("run_path required when calling kiseki.restore before kiseki.init")
    return _restore(name, run_path, replace, root or os.getcwd(), None)


def restore_for(
    run: Run, name: str, run_path: str | None = None, replace: bool = False, root: str | None = None
) -> TextIO | None:
    """The same, where `run` is the current one."""
    root = root or run.dir
    own = run_path is None or run_path.strip("/") in (run.path, f"{run.project}/{run.id}", run.id)
    here = Path(run.dir, name)
    target = Path(root, name)
    if own and here.is_file() and not target.exists():
        import shutil

        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(here, target)
    if run.disabled:
        return open(target) if target.exists() else None
    return _restore(name, run.path if run_path is None else run_path, replace, root, run)


def _restore(name: str, run_path: str, replace: bool, root: str, run: Run | None) -> TextIO | None:
    path = os.path.join(root, name)
    if os.path.exists(path) and not replace:
        return open(path)
    from kiseki.client.api import Api, ApiError, NotFoundError
    from kiseki.client.files import DownloadError
    from kiseki.client.transport import TransportError

    asked = (run.settings.base_url, run.settings.api_key) if run is not None else (None, None)
    try:
        Api(base_url=asked[0], api_key=asked[1]).run(run_path).file(name).download(root, replace=True).close()
    except NotFoundError as error:
        raise ValueError(f"File {name} not found in {run_path or root}.") from error
    except (ApiError, DownloadError, TransportError) as error:
        raise Error(f"restore of {name} from {run_path}: {error}") from error
    return open(path)

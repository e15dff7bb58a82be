"""What the errand for code and packages is asked, given who runs and what is to be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiseki.sidecar.spool import Pointer
from kiseki.system.recording import Choice

DIFF_BYTES = 50 * 1024 * 1024
"""What is kept of the uncommitted and unpushed changes."""


def request(pointer: Pointer, recording: Mapping[str, Choice]) -> dict[str, Any]:
    """The request of the run that `pointer` hands over, JSON-like; `recording` says what is on."""
    return {
        "run_dir": pointer.run_dir,
        "cwd": pointer.cwd,
        "program": pointer.program,
        "path": pointer.path,
        "prefix": pointer.prefix,
        "sys_path": list(pointer.sys_path),
        "git": bool(recording["git"].value),
        "diff": bool(recording["diff"].value),
        "save_code": bool(recording["save_code"].value),
        "requirements": bool(recording["requirements"].value),
        "diff_bytes": DIFF_BYTES,
    }

"""What the sidecar asks of a training: one small file, specified in docs/formats/local-files.md."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Commands:
    """The commands for one writer; `news` is cheap enough to be called every second or two."""

    def __init__(self, run_dir: Path, writer: str) -> None:
        """Nothing is read before `news` is called."""
        self._path = run_dir / f"{writer}.commands"
        self._seen: tuple[int, int] | None = None

    def news(self) -> dict[str, Any]:
        """What the file says, if that is new since the last call, else nothing."""
        try:
            found = os.stat(self._path)
            version = (found.st_ino, found.st_mtime_ns)
            if version == self._seen:
                return {}
            commands = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        self._seen = version
        return commands if isinstance(commands, dict) else {}

"""Apple's GPU as the system's device registry (`ioreg`) shows it; needs no rights."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Final

from kiseki.sidecar.sampling.reading import Reading, Watched

_COMMAND: Final = ("-r", "-d", "1", "-w", "0", "-c", "IOAccelerator")
_LIMIT_S: Final = 5.0
_NUMBER: Final = re.compile(r'"([^"]+)"=(\d+)')
_MODEL: Final = re.compile(r'"model" = <?"([^"]+)"')


def open_apple() -> Apple | None:
    """Find the registry's tool; None where this is no Mac or it shows no GPU."""
    tool = shutil.which("ioreg")
    if tool is None:
        return None
    source = Apple(tool)
    return source if source.facts() else None


class Apple:
    """The GPU of this Mac."""

    def __init__(self, tool: str) -> None:
        self._tool = tool

    def facts(self) -> dict[str, Any]:
        """The GPU; its memory is the machine's."""
        model = _MODEL.search(self._ask())
        return {"gpus": [{"name": model[1], "vendor": "apple"}]} if model else {}

    def read(self, watched: Sequence[Watched]) -> Reading:
        """How busy it is, and how much memory it holds."""
        found = {name: float(value) for name, value in _NUMBER.findall(self._ask())}
        names = {
            "Device Utilization %": "gpu.0.gpu",
            "In use system memory": "gpu.0.memoryAllocatedBytes",
        }
        return Reading({key: found[name] for name, key in names.items() if name in found})

    def _ask(self) -> str:
        command = [self._tool, *_COMMAND]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT_S, check=True, stdin=subprocess.DEVNULL
        ).stdout

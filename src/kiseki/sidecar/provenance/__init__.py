"""Code and packages of a run: the errand that looks at git, the installed packages and the entry script.

`request` is what the sidecar calls; `main` runs in the errand's process, and loads what it needs there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kiseki.sidecar.provenance.request import request

__all__ = ["main", "request"]


def main(request: dict[str, Any], say: Callable[[dict[str, Any]], None], orders: Iterator[Any]) -> None:
    """Gather what `request` asks for and `say` it, see `kiseki.sidecar.errand_child`; takes no orders."""
    from kiseki.sidecar.provenance.gathering import gather

    gather(request, say)

"""The two lines that open a run: where it lies, and where it can be seen."""

from __future__ import annotations

from pathlib import Path

from kiseki.sdk.run import Run
from kiseki.sdk.terminal import say, shown, sync_command


def greet(run: Run) -> None:
    """Say where the run lies and where it can be seen; nothing for a run that is not kept."""
    if run.sync_dir is None:
        return
    place = shown(Path(run.sync_dir))
    url = run.url
    if run.offline:
        say(f"run {run.name} → {place} (the only copy until synced)")
        say(f"offline; send it with: {sync_command(Path(run.sync_dir))}")
    elif run.settings.base_url:
        say(f"run {run.name} → {url}")
        say(f"kept in {place}")
    else:
        say(f"run {run.name} → {place} (the only copy until synced)")
        say(f"watch it at {url}" if url else "watch it live with: kiseki up")

"""`kiseki demo`: a project of synthetic but realistic runs, made through the real library, and shown."""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

PROJECT = "demo"
_STEPS = 400
_FLOORS = {"resnet18": 0.35, "resnet50": 0.27, "vit_small": 0.31}
_LIVE_SECONDS = 300.0
_RUNS: tuple[dict[str, Any], ...] = (
    {"arch": "resnet18", "learning_rate": 0.1, "batch_size": 128, "augment": True},
    {"arch": "resnet18", "learning_rate": 0.03, "batch_size": 128, "augment": True},
    {"arch": "resnet18", "learning_rate": 0.03, "batch_size": 128, "augment": False},
    {"arch": "resnet50", "learning_rate": 0.03, "batch_size": 64, "augment": True},
    {"arch": "resnet50", "learning_rate": 3.0, "batch_size": 64, "augment": True},
    {"arch": "vit_small", "learning_rate": 0.001, "batch_size": 256, "augment": True},
)


@click.command("demo")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=7117, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--browser/--no-browser", default=False, help="Open the page in a browser.")
@click.option("--serve/--no-serve", default=True, help="Show the project afterwards, with one more run live.")
def command(host: str, port: int, browser: bool, serve: bool) -> None:
    """Make a demo project of this user and show it, with one run live.

    The runs lie in Kiseki's data folder and are made once; remove that folder and they are gone.
    """
    from kiseki.system.paths import data_home

    folder = data_home() / "demo"
    _only_local(folder)
    if not any((folder / "kiseki").glob("run-*")):
        folder.mkdir(parents=True, exist_ok=True)
        for number, config in enumerate(_RUNS):
            _train(config, number, pause_s=0.0)
        click.echo(f"made {len(_RUNS)} runs in {folder / 'kiseki'}")
    if serve:
        _serve_with_live_run(host, port, browser)


def _only_local(folder: Path) -> None:
    """Keep the demo's runs on this disk, whatever server the shell names."""
    for name in [name for name in os.environ if name.startswith(("KISEKI_", "WANDB_"))]:
        if name not in ("KISEKI_DATA_HOME", "KISEKI_CONFIG_HOME", "KISEKI_CACHE_HOME", "KISEKI_DEBUG"):
            del os.environ[name]
    os.environ.update(KISEKI_DIR=str(folder), KISEKI_MODE="offline", KISEKI_SILENT="true")


def _serve_with_live_run(host: str, port: int, browser: bool) -> None:
    import signal
    import subprocess

    from kiseki.app import serve
    from kiseki.system.owner import read_owner
    from kiseki.system.paths import store_dir

    served_already = read_owner(store_dir()) is not None
    command = [sys.executable, "-m", "kiseki.cli.demo"]
    # Ctrl-C reaches it too, and its traceback is no news.
    live = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        serve(None, host=host, port=port, open_browser=browser, announce=click.echo)
        if served_already:
            click.echo("one run goes on for five minutes; Ctrl-C ends it")
            live.wait()
    finally:
        if live.poll() is None:
            live.send_signal(signal.SIGINT)
            live.wait()


def _train(config: dict[str, Any], seed: int, *, pause_s: float) -> None:
    """Log one training; the one whose learning rate is too high fails."""
    import kiseki

    diverges = config["learning_rate"] > 1
    run = kiseki.init(
        project=PROJECT,
        config={**config, "optimizer": {"name": "sgd", "momentum": 0.9}, "seed": seed},
        tags=["baseline"] if seed == 0 else [],
        notes="diverges: the learning rate is far too high" if diverges else None,
        reinit=True,
    )
    for row in _curves(config, random.Random(seed)):
        run.log(row)
        if pause_s:
            time.sleep(pause_s)
    run.finish(exit_code=1 if diverges else 0)


def _curves(config: dict[str, Any], source: random.Random) -> Iterator[dict[str, float]]:
    """Rows that look like a classifier's: a noisy decay to a floor, a gap to validation, or a divergence."""
    rate, chance = config["learning_rate"], math.log(100)
    floor = _FLOORS[config["arch"]] + abs(math.log10(rate / 0.03)) / 20
    gap = 0.05 if config["augment"] else 0.22
    loss = chance
    for step in range(_STEPS):
        if rate > 1 and step > 60:
            loss *= 1.02
        else:
            loss += (floor - loss) * 0.015 + source.gauss(0, 0.012) * loss
        lost = loss > 8
        accuracy = max(0.01, 1 - loss / chance)
        row = {
            "train/loss": math.nan if lost else loss,
            "train/accuracy": accuracy,
            "lr": rate * 0.5 * (1 + math.cos(math.pi * step / _STEPS)),
            "train/grad_norm": math.inf if lost else loss * (0.6 + 0.2 * source.random()),
        }
        if step % 10 == 9:
            behind = gap * (1 - math.exp(-step / 120)) + source.gauss(0, 0.01)
            row["val/loss"] = math.nan if lost else loss + behind
            row["val/accuracy"] = max(0.01, accuracy - gap / 3)
        yield row


if __name__ == "__main__":
    _train({**_RUNS[5], "learning_rate": 0.003}, int(time.time()) % 1000, pause_s=_LIVE_SECONDS / _STEPS)

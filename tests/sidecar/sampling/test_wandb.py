"""Our names and magnitudes held against wandb's own sampler, offline."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kiseki.records.system_metrics import describe

Wait = Callable[..., Any]

_SCRIPT = """
import sys, time, wandb
settings = wandb.Settings(x_stats_sampling_interval=1.0, console="off", silent=True)
run = wandb.init(project="p", mode="offline", settings=settings)
time.sleep(3)
run.finish()
"""


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a LevelDB log, as wandb writes it: blocks of 32 KiB, records in up to many parts."""
    position, whole = 7, b""
    while position < len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        part = data[position + 7 : position + 7 + length]
        position += 7 + length
        whole = part if kind in (1, 2) else whole + part
        if kind in (1, 4):
            yield whole


def _sampled_by_wandb(folder: Path) -> dict[str, float]:
    """The last value of every key."""
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    found: dict[str, float] = {}
    for path in folder.rglob("*.wandb"):
        for data in _records(path.read_bytes()):
            record = messages.Record()
            record.ParseFromString(data)
            found |= {item.key: json.loads(item.value_json) for item in record.stats.item}
    return found


def test_every_metric_that_wandb_samples_here_has_its_name_and_size(
    world: Any, samples: Any, tmp_path: Path, wait_until: Wait
) -> None:
    trainer = world.trainer(recording={"system_interval": [0.6, "init"]})
    world.sidecar()
    folder = tmp_path / "wandb"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", _SCRIPT], cwd=folder, env=dict(os.environ), check=True, timeout=120)
    theirs = {f"system.{key}": value for key, value in _sampled_by_wandb(folder).items()}
    if not theirs:
        pytest.skip("wandb sampled nothing here")
    wait_until(lambda: len(samples(trainer.run_dir)) >= 2)
    ours = samples(trainer.run_dir)[-1]
    assert [key for key in theirs if describe(key) is None] == []
    assert [key for key in theirs if key not in ours] == []
    for key in ("system.disk./.usageGB", "system.disk./.usagePercent", "system.proc.memory.availableMB"):
        assert ours[key] == pytest.approx(theirs[key], rel=0.2), key

"""`run.metadata` beside what wandb 0.31 records offline of the same script, on the same machine."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kiseki
from kiseki.client.command_line import script_arguments
from kiseki.client.metadata import wandb_metadata
from kiseki.records import read_run

SCRIPT = """
import os, sys, time
if os.environ["TRACKER"] == "wandb":
    import wandb as tracker
else:
    import kiseki as tracker
run = tracker.init(mode="offline", project="digits", entity="ada", id="r1", settings={"save_code": True})
run.log({"loss": 1})
if os.environ["TRACKER"] == "wandb":
    time.sleep(1)
run.finish()
"""


def _of_wandb(folder: Path) -> dict[str, Any]:
    """What wandb's own file says of the environment; it is a LevelDB log of protobuf records."""
    from google.protobuf.json_format import MessageToDict
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    data, place, parts, found = path.read_bytes(), 7, b"", {}
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            if record.WhichOneof("record_type") == "environment":
                found |= MessageToDict(record.environment)
    return found


def test_names_and_values_are_those_of_wandb(
    tmp_path: Path, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KISEKI_SIDECAR_LINGER", "0.1")
    repo = tmp_path / "repo"
    (repo / "exp").mkdir(parents=True)
    (repo / "exp" / "train.py").write_text(SCRIPT)
    identity = {
        "GIT_AUTHOR_NAME": "m",
        "GIT_AUTHOR_EMAIL": "m@h",
        "GIT_COMMITTER_NAME": "m",
        "GIT_COMMITTER_EMAIL": "m@h",
    }
    for command in ("init -q", "add -A", "commit -qm first", "remote add origin https://example.org/x.git"):
        subprocess.run(["git", *command.split()], cwd=repo, check=True, env={**os.environ, **identity})
    for tracker in ("wandb", "kiseki"):
        subprocess.run(
            [sys.executable, "-u", "train.py", "--lr", "1"],
            cwd=repo / "exp", check=True, capture_output=True, timeout=60,
            env={**os.environ, "TRACKER": tracker, "SLURM_JOB_ID": "5", "SLURM_NNODES": "2"},
        )  # fmt: skip
    (run_dir,) = (repo / "exp" / "kiseki").glob("run-*")
    wait_until(lambda: {"cpu", "disk", "git"} <= read_run(run_dir).fold.environment.keys())
    theirs, ours = _of_wandb(repo / "exp"), kiseki.Api().run("ada/digits/r1").metadata
    assert ours is not None
    assert theirs.keys() - ours.keys() == {"writerId"}
    same = [
        *(
            "os",
            "python",
            "args",
            "program",
            "codePath",
            "codePathLocal",
            "git",
            "root",
            "host",
            "executable",
        ),
        *("cpu_count", "cpu_count_logical", "memory", "slurm"),
    ]
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert ours["disk"].keys() == theirs["disk"].keys()
    assert type(ours["disk"]["/"]["total"]) is type(theirs["disk"]["/"]["total"])
    assert ours["startedAt"][:13] == theirs["startedAt"][:13] and len(ours["startedAt"]) == 27
    json.dumps(ours)


def test_gpus_and_cuda_have_wandbs_names_too() -> None:
    gpu = {"name": "NVIDIA H100", "memory_bytes": 85_000_000_000, "uuid": "GPU-1", "vendor": "nvidia"}
    found = wandb_metadata(
        {"environment": {"gpus": [gpu, gpu], "cuda": {"version": "12.4", "driver": "550"}}}
    )
    assert found == {
        "gpu": "NVIDIA H100",
        "gpu_count": 2,
        "gpu_nvidia": [{"name": "NVIDIA H100", "memoryTotal": "85000000000", "uuid": "GPU-1"}] * 2,
        "cudaVersion": "12.4",
        "cuda": "12.4",
    }
    assert wandb_metadata({"environment": {}}) is None


@pytest.mark.parametrize(
    ("argv", "arguments"),
    [
        (["python", "train.py", "-c", "x"], ["-c", "x"]),
        (["python", "-W", "ignore", "-u", "train.py"], []),
        (["python", "-m", "pkg.train", "--lr", "1"], ["--lr", "1"]),
        (["python", "-c", "print(1)", "a"], ["a"]),
        (["python"], []),
        (["python", "-", "a"], ["a"]),
    ],
)
def test_the_scripts_arguments_are_told_from_pythons(argv: list[str], arguments: list[str]) -> None:
    assert script_arguments(argv) == arguments

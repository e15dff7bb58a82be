"""What a training says of itself, cheaply."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from kiseki.sdk.environment import describe_environment


def test_environment_names_machine_and_python() -> None:
    found = describe_environment()
    named = ("host", "user", "os", "python", "implementation", "executable", "command", "cwd", "sdk")
    assert all(found[name] for name in named)
    assert {"program", "cpu_count", "pid"} <= set(found)
    assert not {"slurm", "kubernetes", "torchrun", "mpi", "notebook"} & set(found)


def test_launchers_are_recognised_and_their_secrets_masked() -> None:
    found = describe_environment(
        {
            "SLURM_JOB_ID": "7",
            "SLURM_NTASKS": "4",
            "SLURM_JWT_TOKEN": "abc",
            "SLURM_JOB_NODELIST": "n" * 5000,
            "RANK": "3",
            "LOCAL_RANK": "1",
            "WORLD_SIZE": "8",
            "OMPI_COMM_WORLD_RANK": "3",
            "KUBERNETES_SERVICE_HOST": "10.0.0.1",
            "HOSTNAME": "train-0",
            "PYTHONPATH": "src:lib",
            "POD_NAMESPACE": "vision",
        }
    )
    assert found["slurm"]["job_id"] == "7" and found["slurm"]["ntasks"] == "4"
    assert found["slurm"]["jwt_token"] == "***" and len(found["slurm"]["job_nodelist"]) == 1000
    assert found["torchrun"] == {"rank": "3", "local_rank": "1", "world_size": "8"}
    assert found["pythonpath"] == "src:lib"
    assert found["mpi"] == {"ompi_comm_world_rank": "3"}
    assert found["kubernetes"] == {"pod": "train-0", "namespace": "vision"}
    assert describe_environment({"RANK": "A", "SLURM_CPUS": "1"}).keys() == describe_environment({}).keys()


def test_a_command_with_keys_is_recorded_masked(train: Callable) -> None:
    training = train(
        "kiseki.init(project='p')\nkiseki.finish()",
        *["--api-key", "abc", "--tokenizer", "bert", "db=https://u:hunter2@h/x", "--名前=値 a"],
        env={"KISEKI_MODE": "offline"},
    )
    environment = training.run.fold.environment
    assert environment["command"][2:] == [
        *["--api-key", "***", "--tokenizer", "bert", "db=https://***@h/x", "--名前=値 a"]
    ]
    assert environment["program"] == str(training.folder / "script.py")
    assert "hunter2" not in json.dumps(environment)
    assert environment["user"] == os.environ.get("LOGNAME", os.environ.get("USER", environment["user"]))

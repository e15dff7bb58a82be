"""What a server shows of a run that says it runs and has fallen silent: no contact, or crashed by proof."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from kiseki.ingest.liveness import GIVEN_UP_US, SIDECAR_SILENCE_US, SILENCE_US, Contacts
from kiseki.ingest.state import RunState, WriterState, now_us
from kiseki.records.kinds import Header
from kiseki.system.process import boot_id, pid_namespace, process_of, this_process

SECOND = 1_000_000


def shown(silent_us: int, **process: Any) -> str:
    """The state shown of a run whose server was started so long ago and has heard nothing since."""
    header = Header(
        run_uid="0" * 32,
        entity="me",
        project="p",
        run_id="r",
        writer="w1",
        role="train",
        lane="w1",
        **process,
    )
    state = RunState(1, 1, "me", "p", "r", header.run_uid)
    state.fold.see(header)
    state.writers["w1"] = WriterState(1, header)
    return Contacts(now_us() - silent_us).shown(state)


def test_silence_of_another_machine_is_no_contact_and_no_proof_of_a_crash() -> None:
    elsewhere = {"host": "another", "boot_id": "f" * 32, "pid": 1, "pid_start": 1}
    assert shown(SILENCE_US - SECOND, **elsewhere) == "running"
    assert shown(SILENCE_US + SECOND, **elsewhere) == "no_contact"
    assert shown(GIVEN_UP_US + SECOND, **elsewhere) == "crashed"


def test_dead_process_of_this_machine_is_crashed_once_its_sidecar_is_silent_too() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = process_of(child.pid)
        assert found is not None
        child.kill()
    here = {"boot_id": boot_id(), "pid_ns": pid_namespace(), "pid": found.pid, "pid_start": found.start}
    assert shown(SIDECAR_SILENCE_US - SECOND, **here) == "running"
    assert shown(SIDECAR_SILENCE_US + SECOND, **here) == "crashed"


@pytest.mark.parametrize("silent_us", [SIDECAR_SILENCE_US + SECOND, SILENCE_US - SECOND])
def test_living_process_of_this_machine_without_a_sidecar_is_running(silent_us: int) -> None:
    me = this_process()
    here = {"boot_id": me.boot_id, "pid_ns": me.pid_ns, "pid": me.pid, "pid_start": me.start}
    assert shown(silent_us, **here) == "running"

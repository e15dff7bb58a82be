import os
import subprocess
import sys

import pytest

from kiseki.system import process
from kiseki.system.process import PidWatch, is_alive, process_of, this_process


def test_this_process_is_alive() -> None:
    assert is_alive(this_process()) is True


def test_reused_pid_is_another_process() -> None:
    assert is_alive(this_process()._replace(start=this_process().start + 1)) is False


@pytest.mark.parametrize("change", [{"boot_id": "other"}, {"boot_id": ""}, {"pid_ns": 1}])
def test_other_boot_or_namespace_cannot_be_known(change: dict[str, object]) -> None:
    assert is_alive(this_process()._replace(**change)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("with_pidfd", [True, False])
def test_watch_notices_a_kill(with_pidfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = process_of(child.pid)
        assert found is not None
        watch = PidWatch(found)
        assert (watch.fileno() is not None) == (with_pidfd and hasattr(os, "pidfd_open"))
        assert not watch.ended()
        child.kill()
        assert watch.wait(20)
        assert is_alive(found) is False  # though nobody has waited for it: a zombie
        watch.close()
    assert PidWatch(found).ended()


def test_process_name_with_parentheses_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    odd = tmp_path_factory.mktemp("odd") / "a) R (b"
    odd.symlink_to(sys.executable)
    with subprocess.Popen([str(odd), "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = process_of(child.pid)
        assert found is not None
        assert found.start >= this_process().start
        child.kill()


def test_boot_clock_advances() -> None:
    assert 0 < process.boottime_ns() <= process.boottime_ns()
    assert process.boot_id() == process.boot_id()

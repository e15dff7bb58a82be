import os
import subprocess
import sys
import textwrap
from pathlib import Path

from kiseki.system.locks import FileLock, is_locked
from kiseki.system.owner import Owner, OwnerLock, read_owner


def test_second_taker_is_refused_until_release(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert is_locked(tmp_path / "lock")
    first.release()
    assert not is_locked(tmp_path / "lock")
    assert second.acquire()


def test_probe_never_creates_the_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from kiseki.system.locks import FileLock
        lock = FileLock(Path(sys.argv[1]))
        assert lock.acquire()
        print("held", flush=True); sys.stdin.read()
    """
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert is_locked(path)
        child.kill()
        child.wait()
    assert not is_locked(path)


def test_forked_child_holds_no_share_of_the_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    lock.release()
    assert not is_locked(tmp_path / "lock")
    os.write(done[1], b"x")
    os.waitpid(child, 0)


def test_lock_on_a_deleted_file_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    old = FileLock(path)
    assert old.acquire()
    path.unlink()
    new = FileLock(path)
    assert new.acquire()
    assert is_locked(path)


def test_owner_is_readable_while_it_lives(tmp_path: Path) -> None:
    assert read_owner(tmp_path) is None
    lock = OwnerLock(tmp_path)
    assert lock.acquire()
    assert read_owner(tmp_path) == Owner("", os.getpid(), "", "")
    owner = Owner("http://127.0.0.1:7117", os.getpid(), "kk_" + "0" * 40, "server")
    lock.publish(owner)
    assert read_owner(tmp_path) == owner
    assert not OwnerLock(tmp_path).acquire()
    assert (tmp_path / "owner.lock").stat().st_mode & 0o777 == 0o600
    lock.release()
    assert read_owner(tmp_path) is None

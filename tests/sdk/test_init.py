"""What `init` makes on disk, says on the terminal and returns."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kiseki
from kiseki.records import read_run
from kiseki.system.owner import Owner, OwnerLock
from kiseki.system.paths import local_roots, store_dir

Train = Callable[..., Any]


def test_run_lies_under_the_current_folder_and_is_found_again(train: Train, isolated_home: Path) -> None:
    done = train("run = kiseki.init(id='abc'); print(run.dir); print(run.sync_dir); kiseki.log({'a': 1})")
    (directory,) = done.directories
    assert re.fullmatch(r"run-\d{8}_\d{6}-abc", directory.name)
    assert done.out.split() == [str(directory / "files"), str(directory)]
    assert (directory / "files").is_dir()
    assert (done.folder / "kiseki" / ".gitignore").read_text() == "*\n"
    assert local_roots() == [done.folder / "kiseki"]
    (header,) = (header for header in done.run.headers if header.role == "train")
    assert (directory / f"{header.writer}.kiseki").is_file()
    assert (header.run_id, header.mode, header.lane, header.primary) == ("abc", "online", header.writer, True)
    assert header.sdk == kiseki.__version__
    environment = done.run.fold.environment
    assert environment["cwd"] == str(done.folder)
    assert environment["command"][-1].endswith("script.py")


def test_secrets_on_the_command_line_never_reach_the_file(train: Train) -> None:
    done = train("kiseki.init(mode='offline')", "--api-key", "hunter2", "--token=hunter2", "--lr=1")
    (directory,) = done.directories
    assert all(b"hunter2" not in path.read_bytes() for path in directory.glob("*.kiseki"))
    assert done.run.fold.environment["command"][-4:] == ["--api-key", "***", "--token=***", "--lr=1"]


def test_attributes_of_a_run(workdir: Path) -> None:
    with kiseki.init(
        entity="mei", project="vision", id="r1", tags=["a", "b", "a"], group="g", job_type="train", notes="n"
    ) as run:
        assert (run.entity, run.project, run.id, run.path) == ("mei", "vision", "r1", "mei/vision/r1")
        assert (run.tags, run.group, run.job_type, run.notes) == (("a", "b"), "g", "train", "n")
        assert re.fullmatch(r"[a-z]+-[a-z]+-1", run.name)
        assert run.step == 0 and run.start_time > 1e9
        assert not run.offline and not run.disabled and not run.resumed
        assert repr(run) == f"<kiseki.Run mei/vision/r1 ({run.name})>"
        run.name = "第一"
        run.notes = None
        run.tags = ["c"]
        with pytest.raises(TypeError, match=r"run\.name takes a str"):
            run.name = 5  # type: ignore[assignment]
    fold = read_run(str(run.sync_dir)).fold
    assert (fold.name, fold.notes, fold.tags, fold.group, fold.job_type) == (
        "第一",
        None,
        ["c"],
        "g",
        "train",
    )


def test_names_count_the_runs_of_the_folder(train: Train) -> None:
    done = train("for n in range(3): print(kiseki.init(mode='offline', reinit=True).name.split('-')[-1])")
    assert done.out.split() == ["1", "2", "3"]


def test_same_id_within_a_second_gets_its_own_directory(train: Train) -> None:
    done = train("for n in range(3): kiseki.init(mode='offline', id='same', reinit=True).log({'n': n})")
    assert len(done.directories) == 3


def test_two_lines_say_where_the_run_lies_and_can_be_seen(train: Train) -> None:
    done = train("kiseki.init()")
    first, second, last = done.err.splitlines()
    assert re.fullmatch(
        r"kiseki: run [a-z]+-[a-z]+-1 → \./kiseki/run-\S+ \(the only copy until synced\)", first
    )
    assert second == "kiseki: watch it live with: kiseki up"
    assert re.fullmatch(r"kiseki: run [a-z]+-[a-z]+-1 finished → \./kiseki/run-\S+", last)


def test_page_of_ones_own_server_is_named_while_it_runs(train: Train, isolated_home: Path) -> None:
    lock = OwnerLock(store_dir())
    assert lock.acquire()
    lock.publish(Owner("http://127.0.0.1:7117", os.getpid(), "kk_" + "0" * 40, "s"))
    done = train("print(kiseki.init(entity='m', project='p', id='r 1').url)")
    lock.release()
    assert done.out == "http://127.0.0.1:7117/m/p/runs/r%201\n"
    assert "kiseki: watch it at http://127.0.0.1:7117/m/p/runs/r%201" in done.err


@pytest.mark.parametrize(
    ("env", "lines"), [({"KISEKI_SILENT": "1"}, 0), ({"KISEKI_QUIET": "true"}, 1), ({"WANDB_SILENT": "1"}, 0)]
)
def test_silence_is_kept(env: dict[str, str], lines: int, train: Train) -> None:
    done = train("kiseki.init(resume='allow', mode='offline').log({'a': 1})", env=env)
    assert len(done.err.splitlines()) == lines


def test_second_init_returns_the_active_run_with_one_notice(train: Train) -> None:
    done = train("""
        run = kiseki.init(mode="offline")
        for _ in range(3):
            assert kiseki.init(project="other", config={"x": 1}) is run
        assert dict(run.config) == {}
    """)
    assert done.status == 0, done.err
    assert len(done.warnings) == 1 and "reinit" in done.warnings[0]


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_reinit_finishes_the_active_run_first(reinit: object, train: Train) -> None:
    done = train(f"""
        first = kiseki.init(mode="offline")
        second = kiseki.init(mode="offline", reinit={reinit!r})
        assert kiseki.run is second is not first
        first.log({{"late": 1}})
        kiseki.log({{"a": 1}})
    """)
    assert done.status == 0, done.err
    assert [read_run(directory).fold.state for directory in done.directories] == ["finished"] * 2
    assert sorted(read_run(directory).fold.rows for directory in done.directories) == [0, 1]


def test_create_new_leaves_the_active_run_the_current_one(train: Train) -> None:
    done = train("""
        first = kiseki.init(mode="offline")
        second = kiseki.init(mode="offline", reinit="create_new")
        assert kiseki.run is first
        second.log({"b": 1})
        kiseki.log({"a": 1})
        second.finish()
        assert kiseki.run is first
    """)
    assert done.status == 0, done.err
    assert [read_run(directory).fold.rows for directory in done.directories] == [1, 1]


def test_disabled_run_touches_nothing_and_works(train: Train) -> None:
    done = train("""
        import os
        run = kiseki.init(mode="disabled", project="p", config={"lr": 0.1})
        run.log({"a": {"b": 1}, "c": 2.0})
        run.log({"c": 3.0})
        run.summary["best"] = 1
        run.config.update({"x": 2})
        assert run.config.lr == 0.1 and run.summary["a"]["b"] == 1 and run.summary["c"] == 3.0
        assert run.step == 2 and run.disabled and run.url is None and run.sync_dir is None
        assert os.path.isdir(run.dir)
        if os.fork() == 0:
            run.log({"d": 1})
            os._exit(0)
        os.wait()
        kiseki.finish()
    """)
    assert done.status == 0, done.err
    assert done.err == "" and done.directories == []
    assert not (done.folder / "kiseki").exists() and local_roots() == []


def test_offline_run_says_how_it_is_sent(train: Train) -> None:
    done = train("run = kiseki.init(mode='offline'); print(run.url, run.offline)")
    assert done.out == "None True\n"
    assert "kiseki sync ./kiseki/run-" in done.err
    assert done.run.headers[0].mode == "offline"


def test_keywords_without_effect_warn_once(train: Train) -> None:
    done = train("""
        for _ in range(2):
            kiseki.init(resume="allow", resume_from="x?_step=1", fork_from="x?_step=1", save_code=True,
                        tensorboard=True, sync_tensorboard=True, monitor_gym=True, anonymous="allow",
                        force=True, reinit=True, mode="offline")
    """)
    assert done.status == 0, done.err
    named = ("resume", "resume_from", "fork_from", "tensorboard", "sync_tensorboard", "monitor_gym")
    assert len(done.warnings) == len(named)
    assert all(any(f"init({name})" in line for line in done.warnings) for name in named)


def test_other_folder_by_argument_and_by_variable(train: Train, tmp_path: Path) -> None:
    train(f"kiseki.init(mode='offline', dir={str(tmp_path / '日本 語')!r})")
    train("kiseki.init(mode='offline')", env={"KISEKI_DIR": str(tmp_path / "by variable")})
    assert len(list((tmp_path / "日本 語" / "kiseki").glob("run-*"))) == 1
    assert len(list((tmp_path / "by variable" / "kiseki").glob("run-*"))) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_read_only_folder_is_one_warning_and_the_run_is_kept_elsewhere(
    train: Train, small_disk: Path, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = train(
        f"kiseki.init(mode='offline', dir={str(small_disk)!r}).log({{'a': 1}})",
        env={"TMPDIR": str(temporary)},
    )
    assert done.status == 0
    assert len(done.warnings) == 1 and "Read-only" in done.warnings[0] and str(temporary) in done.warnings[0]
    (directory,) = temporary.glob("kiseki-*/kiseki/run-*")
    assert read_run(directory).fold.rows == 1


def test_no_folder_at_all_is_one_warning_and_the_training_goes_on(train: Train, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file" / "x")
    done = train(
        f"run = kiseki.init(dir={nowhere!r}); run.log({{'a': 1}}); print(run.summary['a'], run.dir)",
        env={"TMPDIR": nowhere},
    )
    assert done.status == 0 and done.out.startswith("1 "), done.err
    assert len(done.warnings) == 1 and "not recorded" in done.warnings[0]


def test_full_disk_keeps_the_training_going(train: Train, small_disk: Path) -> None:
    done = train(f"""
        run = kiseki.init(mode="offline", dir={str(small_disk)!r})
        for i in range(3000):
            run.log({{"i": i, "text": "x" * 1000}})
        print(run.step)
    """)
    assert done.status == 0 and done.out == "3000\n"
    assert sum("No space" in line for line in done.warnings) == 1
    (directory,) = (small_disk / "kiseki").glob("run-*")
    found = read_run(directory)
    # The sidecar may hold a file of its own, empty as long as the disk is full.
    assert [line for line in found.damage if not line.endswith("byte 0")] == []
    assert 0 < found.fold.rows < 3000


def test_file_size_limit_keeps_the_training_going(train: Train) -> None:
    done = train("""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        run = kiseki.init(mode="offline")
        for i in range(2000):
            run.log({"i": i, "text": "x" * 100})
        print(run.step)
    """)
    assert done.status == 0 and done.out == "2000\n"
    assert done.run.fold.rows > 100


def test_deleted_run_directory_harms_nothing(train: Train) -> None:
    done = train("""
        import os, shutil
        run = kiseki.init(mode="offline")
        run.log({"a": 1})
        shutil.rmtree("kiseki")
        for i in range(100):
            run.log({"a": i})
        if os.fork() == 0:
            run.log({"child": 1})
            os._exit(0)
        assert os.wait()[1] == 0
        run.config.x = 1
        run.finish()
    """)
    assert done.status == 0, done.err
    assert "Traceback" not in done.err


def test_current_folder_that_is_gone_harms_nothing(train: Train, tmp_path: Path) -> None:
    done = train(
        """
        import os, tempfile
        folder = tempfile.mkdtemp()
        run = kiseki.init(mode="offline")
        os.chdir(folder)
        os.rmdir(folder)
        run.log({"a": 1})
        run.finish()
        kiseki.init(mode="offline").log({"a": 2})
    """,
        env={"TMPDIR": str(tmp_path)},
    )
    assert done.status == 0 and "Traceback" not in done.err, done.err
    assert len(list(tmp_path.glob("kiseki-*/kiseki/run-*"))) == 1


def test_import_is_light(train: Train) -> None:
    done = train("""
        import sys
        heavy = {"asyncio", "subprocess", "http", "ssl", "socket", "numpy", "multiprocessing", "ctypes",
                 "importlib.metadata", "tempfile", "shutil", "logging", "email", "starlette", "sqlalchemy"}
        print(sorted(heavy & sys.modules.keys()))
        kiseki.init(mode="offline").log({"a": 1})
        print(sorted(heavy & sys.modules.keys()))
    """)
    assert done.out == "[]\n[]\n"


def test_public_names_are_there() -> None:
    for name in kiseki.__all__:
        assert hasattr(kiseki, name), name
    assert set(dir(kiseki)) == set(kiseki.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = kiseki.no_such_name


def test_arguments_are_those_of_wandb() -> None:
    import inspect

    wandb = pytest.importorskip("wandb")
    for ours, theirs in (
        (kiseki.init, wandb.init),
        (kiseki.login, wandb.login),
        (kiseki.finish, wandb.finish),
    ):
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(kiseki.Run.log).parameters) == ["self", "data", "step", "commit"]
    assert list(inspect.signature(kiseki.Run.finish).parameters) == ["self", "exit_code"]


def test_empty_project_and_entity_are_as_if_not_given(train: Train) -> None:
    done = train(
        """
        run = kiseki.init(project="", entity="", settings={"project": ""}, mode="offline")
        print(run.project, run.entity)
        """,
        env={"KISEKI_PROJECT": "named", "LOGNAME": "ada"},
    )
    assert done.out == "named ada\n", done.err


def test_the_sync_line_can_be_pasted(train: Train) -> None:
    done = train("""
        run = kiseki.init(mode="offline", id="it's a run")
        print(run.sync_dir)
    """)
    (line,) = (line for line in done.err.splitlines() if "kiseki sync" in line)
    words = shlex.split(line.partition("send it with: ")[2])
    assert words[:2] == ["kiseki", "sync"] and done.folder / words[2] == Path(done.out.strip())


def test_with_no_folder_to_write_in_but_temporary_ones_the_sidecar_still_runs(
    train: Train, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    homes = ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "KISEKI_DIR")
    done = train(
        """
        run = kiseki.init()
        run.log({"a": 1})
        print(run.sync_dir)
        """,
        env={**dict.fromkeys(homes, "/proc/none"), "TMPDIR": str(temporary)},
    )
    (folder,) = temporary.iterdir()
    assert Path(done.out.strip()).is_relative_to(folder) and folder.stat().st_mode & 0o777 == 0o700
    assert not any("no process beside this one" in line for line in done.warnings), done.err
    assert any((folder / "spool").iterdir())

"""Forked and spawned children: lanes of their own, and nothing touched where they log nothing."""

from collections.abc import Callable
from typing import Any

from kiseki.records import read_run

Train = Callable[..., Any]


def lanes(done: Any) -> dict[int, list[dict[str, Any]]]:
    """Rows by lane: 0 is the primary one, the others in their order."""
    found: dict[str, list[dict[str, Any]]] = {"": []}
    for row in done.rows:
        found.setdefault(row.pop("_lane", ""), []).append(row)
    return dict(enumerate(found.values()))


def test_forked_child_logs_into_its_own_lane_from_the_parents_step(train: Train) -> None:
    done = train("""
        import os
        run = kiseki.init(mode="offline")
        run.log({"a": 0})
        run.log({"a": 1})
        pid = os.fork()
        if pid == 0:
            run.log({"child": 1})
            run.summary["by_child"] = True
            run.config.child = os.getpid() > 0
            os._exit(0)
        os.waitpid(pid, 0)
        run.log({"a": 2})
    """)
    assert done.status == 0, done.err
    assert lanes(done) == {
        0: [{"_step": 0, "a": 0}, {"_step": 1, "a": 1}, {"_step": 2, "a": 2}],
        1: [{"_step": 2, "child": 1}],
    }
    fold = done.run.fold
    assert fold.state == "finished"
    assert fold.summary["by_child"] is True and fold.config == {"child": True}
    parent, child = sorted(
        (h for h in done.run.headers if h.role == "train"), key=lambda header: not header.primary
    )
    assert child.run_uid == parent.run_uid and child.step == 2 and child.lane == child.writer
    assert child.pid != parent.pid
    assert child.label == f"fork of {parent.writer} (pid {child.pid})"


def test_silent_child_touches_nothing(train: Train) -> None:
    done = train("""
        import os, sys
        from kiseki.records import read_run
        def writers():  # The sidecar has one too, at its own time.
            return [header.writer for header in read_run(run.sync_dir).headers if header.role == "train"]
        run = kiseki.init(mode="offline")
        run.log({"a": 0})
        before = writers()
        for leave in (lambda: os._exit(0), sys.exit, lambda: sys.exit(4), lambda: 1 / 0):
            pid = os.fork()
            if pid == 0:
                leave()
            os.waitpid(pid, 0)
        assert writers() == before, os.listdir(run.sync_dir)
        run.log({"a": 1})
    """)
    assert done.status == 0, done.err
    assert done.rows == [{"_step": 0, "a": 0}, {"_step": 1, "a": 1}]
    assert (done.run.fold.state, done.run.fold.exit_code) == ("finished", 0)
    assert done.err.count(" finished → ") == 1


def test_ends_of_children_never_end_the_parents_run(train: Train) -> None:
    done = train("""
        import os, sys
        run = kiseki.init(mode="offline")
        for leave in (run.finish, lambda: sys.exit(3), lambda: 1 / 0):
            pid = os.fork()
            if pid == 0:
                run.log({"child": 1})
                leave()
                os._exit(0)
            os.waitpid(pid, 0)
        assert kiseki.run is run
        run.log({"a": 1})
    """)
    assert done.status == 0, done.err
    fold = done.run.fold
    assert (fold.state, fold.exit_code) == ("finished", 0)
    states = sorted(
        str(fold.writer_state(h.writer)) for h in done.run.headers if not h.primary and h.role == "train"
    )
    assert states == ["failed", "failed", "finished"]
    assert len(lanes(done)) == 4


def test_forked_child_may_begin_a_run_of_its_own(train: Train) -> None:
    done = train("""
        import os
        run = kiseki.init(mode="offline", id="parent")
        if os.fork() == 0:
            own = kiseki.init(mode="offline", id="child")
            assert own is not run and kiseki.run is own
            kiseki.log({"child": 1})
            own.finish()
            os._exit(0)
        assert os.wait()[1] == 0
        kiseki.log({"parent": 1})
    """)
    assert done.status == 0, done.err
    assert done.warnings == []
    child, parent = sorted(done.directories, key=lambda directory: directory.name.rpartition("-")[2])
    for directory, name in ((child, "child"), (parent, "parent")):
        found = read_run(directory)
        assert (found.fold.state, found.fold.rows, found.fold.summary[name]) == ("finished", 1, 1)


def test_multiprocessing_by_fork_and_by_spawn(train: Train) -> None:
    done = train("""
        import multiprocessing as mp
        def forked(k):
            kiseki.log({"k": k})
        def spawned(k):
            assert kiseki.run is None
            with kiseki.init(id=f"own{k}", mode="offline", dir="spawned") as run:
                run.log({"k": k})
        def unended(k):
            kiseki.init(id=f"unended{k}", mode="offline", dir="spawned").log({"k": k})
            if k:
                raise ValueError("in the child")
        if __name__ == "__main__":
            run = kiseki.init(mode="offline")
            run.log({"a": 0})
            for way, work, count in (("fork", forked, 3), ("spawn", spawned, 1), ("spawn", unended, 2)):
                context = mp.get_context(way)
                children = [context.Process(target=work, args=(k,)) for k in range(count)]
                for child in children: child.start()
                for child in children: child.join()
            run.log({"a": 1})
    """)
    assert done.status == 0, done.err
    found = lanes(done)
    assert found[0] == [{"_step": 0, "a": 0}, {"_step": 1, "a": 1}]
    assert sorted(row[0]["k"] for lane, row in found.items() if lane) == [0, 1, 2]
    own = [h for h in done.run.headers if not h.primary and h.role == "train"]
    assert [done.run.fold.writer_state(header.writer) for header in own] == ["finished"] * 3
    states = {}
    for directory in (done.folder / "spawned" / "kiseki").glob("run-*"):
        states[directory.name.rpartition("-")[2]] = read_run(directory).fold.state
    assert states == {"own0": "finished", "unended0": "finished", "unended1": "failed"}


def test_terminated_worker_ends_its_own_lane_only(train: Train) -> None:
    done = train("""
        import multiprocessing as mp, time
        def work(ready):
            kiseki.log({"k": 1})
            ready.set()
            time.sleep(60)
        if __name__ == "__main__":
            run = kiseki.init(mode="offline")
            context = mp.get_context("fork")
            ready = context.Event()
            child = context.Process(target=work, args=(ready,))
            child.start()
            ready.wait(30)
            child.terminate()
            child.join()
            print(child.exitcode)
            run.log({"a": 1})
    """)
    assert done.status == 0, done.err
    assert done.out == "-15\n"
    assert done.run.fold.state == "finished"
    assert [len(rows) for rows in lanes(done).values()] == [1, 1]


def test_sigterm_ends_a_forked_child_even_where_no_python_can_run(train: Train) -> None:
    done = train("""
        import os, signal, time
        run = kiseki.init(mode="offline")
        pid = os.fork()
        if pid == 0:
            run.log({"child": 1})
            print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
    """)
    assert done.status == 0, done.err
    assert done.out == "True\nFalse\n"


def test_sigterm_right_after_a_fork_ends_the_child_and_spares_the_run(train: Train) -> None:
    done = train("""
        import os, signal
        run = kiseki.init(mode="offline")
        ended = set()
        for number in range(60):
            pid = os.fork()
            if pid == 0:
                signal.alarm(20)
                while True:
                    signal.pause()
            os.kill(pid, signal.SIGTERM)
            ended.add(os.WTERMSIG(os.waitpid(pid, 0)[1]))
            run.log({"number": number})
        print(ended, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    """)
    assert done.status == 0, done.err
    assert done.out == "{15} set()\n"
    assert done.run.fold.state == "finished"
    assert [row["number"] for row in done.rows] == list(range(60))


def test_fork_while_threads_log(train: Train) -> None:
    done = train("""
        import os, threading
        run, stop = kiseki.init(mode="offline"), threading.Event()
        def work():
            i = 0
            while not stop.is_set():
                run.log({"i": i})
                i += 1
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        for n in range(20):
            pid = os.fork()
            if pid == 0:
                run.log({"child": n})
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads: thread.join()
    """)
    assert done.status == 0, done.err
    children = [row["child"] for row in done.rows if "child" in row]
    assert sorted(children) == list(range(20))
    assert all("_lane" in row for row in done.rows if "child" in row)


def test_grandchild_has_a_lane_of_its_own(train: Train) -> None:
    done = train("""
        import os
        run = kiseki.init(mode="offline")
        run.log({"who": "parent"})
        if os.fork() == 0:
            run.log({"who": "child"})
            if os.fork() == 0:
                run.log({"who": "grandchild"})
                os._exit(0)
            os.wait()
            os._exit(0)
        os.wait()
    """)
    assert done.status == 0, done.err
    assert sorted((row["who"], row["_step"]) for row in done.rows) == [
        ("child", 1),
        ("grandchild", 2),
        ("parent", 0),
    ]
    assert len(lanes(done)) == 3

"""What `log` takes, and what becomes of what it does not take: one warning, and the rest is kept."""

import math
from collections.abc import Callable
from typing import Any

Train = Callable[..., Any]


def test_the_first_example_works_word_for_word(train: Train) -> None:
    done = train("""
        import kiseki as wandb
        config = dict(learning_rate=0.01, momentum=0.2, architecture="CNN",
                      dataset_id="peds-0192", infra="AWS")
        wandb.init(project="detect-pedestrians", notes="tweak baseline", tags=["baseline", "paper1"],
                   config=config)
        for epoch in range(10):
            acc, loss = epoch / 10, 1 / (epoch + 1)
            wandb.log({"accuracy": acc, "loss": loss})
    """)
    assert done.status == 0
    fold = done.run.fold
    assert (fold.state, fold.exit_code) == ("finished", 0)
    assert (fold.notes, fold.tags) == ("tweak baseline", ["baseline", "paper1"])
    assert fold.config["learning_rate"] == 0.01
    assert done.run.headers[0].project == "detect-pedestrians"
    assert done.rows == [{"_step": i, "accuracy": i / 10, "loss": 1 / (i + 1)} for i in range(10)]
    assert fold.summary["accuracy"] == 0.9


def test_values_of_all_kinds_are_kept_as_they_are(train: Train) -> None:
    done = train("""
        import numpy as np
        inf, nan = float("inf"), float("nan")
        kiseki.init()
        kiseki.log({"int": 3, "float": 0.1, "bool": True, "str": "é", "none": None, "nan": nan, "inf": inf,
                    "ninf": -inf, "big": 2**200, "list": [1, [2.5]], "tuple": (1, 2), "empty": {}})
        kiseki.log({"f32": np.float32(0.5), "i8": np.int8(-3), "b": np.bool_(True), "zero_d": np.array(1.5),
                    "array": np.arange(3), "npnan": np.float64("nan")})
        class Tensor:
            shape = ()
            def item(self): return 4.5
        kiseki.log({"torch": Tensor(), "a": {"b": {"c": 1}, "d": 2}, "a.e": 3})
    """)
    assert done.status == 0 and done.warnings == []
    first, second, third = done.rows
    assert math.isnan(first.pop("nan")) and math.isnan(second.pop("npnan"))
    assert first == {
        "_step": 0,
        "int": 3,
        "float": 0.1,
        "bool": True,
        "str": "é",
        "none": None,
        "inf": math.inf,
        "ninf": -math.inf,
        "big": 2**200,
        "list": [1, [2.5]],
        "tuple": [1, 2],
        "empty": {},
    }
    assert second == {"_step": 1, "f32": 0.5, "i8": -3, "b": True, "zero_d": 1.5, "array": [0, 1, 2]}
    assert third == {"_step": 2, "torch": 4.5, "a.b.c": 1, "a.d": 2, "a.e": 3}
    assert done.run.fold.summary["a"] == {"b": {"c": 1}, "d": 2}


def test_unstorable_values_are_one_warning_and_the_rest_is_kept(train: Train) -> None:
    done = train("""
        class Broken:
            shape = ()
            def item(self): raise RuntimeError("no device")
        kiseki.init()
        for i in range(3):
            kiseki.log({"a": i, "odd": object(), "broken": Broken(), "z": -i})
    """)
    assert done.rows == [{"_step": i, "a": i, "z": -i} for i in range(3)]
    assert len(done.warnings) == 2
    assert any("odd" in line and "object" in line for line in done.warnings)
    assert any("broken" in line and "Broken" in line for line in done.warnings)


def test_odd_keys_have_their_documented_outcome(train: Train) -> None:
    done = train("""
        kiseki.init()
        kiseki.log({"": 1, "🦊": 2, "x" * 5000: 3, 7: 4, "_step": 100, "_runtime": 5, "_timestamp": 6,
                    "_own": 7})
        kiseki.log({"next": 1})
    """)
    assert done.rows == [{"_step": 0, "🦊": 2, "x" * 5000: 3, "7": 4, "_own": 7}, {"_step": 1, "next": 1}]
    assert len(done.warnings) == 4
    assert done.run.fold.last_step == 1


def test_what_is_no_row_is_one_warning(train: Train) -> None:
    done = train("""
        kiseki.init()
        for i in range(2):
            kiseki.log("loss")
            kiseki.log(None)
            kiseki.log([("a", 1)])
        kiseki.log({"x": "y" * 20_000_000})
        kiseki.log({})
        kiseki.log({"a": 1})
    """)
    assert done.status == 0
    assert done.rows[-1]["a"] == 1
    assert len(done.warnings) == 4
    assert all("dict" in line for line in done.warnings[:3])


def test_rows_are_in_the_file_when_log_returns(train: Train) -> None:
    done = train("""
        import os, signal
        run = kiseki.init()
        for i in range(100):
            run.log({"i": i}, commit=False)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert done.status == -9
    assert done.run.fold.rows == 100
    assert done.rows == [{"_step": 0, "i": 99}]


def test_before_init_is_an_error_and_after_finish_one_warning(train: Train) -> None:
    done = train("""
        for call in (lambda: kiseki.log({"a": 1}), lambda: kiseki.config.x, lambda: kiseki.summary["x"],
                     lambda: setattr(kiseki.config, "x", 1)):
            try:
                call()
            except kiseki.Error as error:
                print(error)
        assert kiseki.run is None
        run = kiseki.init()
        assert kiseki.run is run and kiseki.config is run.config and kiseki.summary is run.summary
        run.log({"a": 1})
        run.finish()
        run.finish()
        assert kiseki.run is None
        for i in range(3):
            kiseki.log({"b": 2})
            run.log({"b": 2})
        kiseki.finish()
    """)
    assert done.status == 0, done.err
    assert done.out.count("kiseki.init()") == 4
    assert done.rows == [{"_step": 0, "a": 1}]
    assert len(done.warnings) == 2 and all("finish" in line for line in done.warnings)


def test_calls_from_signal_handlers_and_finalizers_wait_their_turn(train: Train) -> None:
    done = train("""
        import signal
        run = kiseki.init()
        count = 0
        def tick(*_):
            global count
            number, count = count, count + 1
            run.log({"tick": number})
            run.summary["ticks"] = number
        signal.signal(signal.SIGALRM, tick)
        class Meddler:
            def __float__(self):
                run.log({"inner": 1})
                return 0.5
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        n = 0
        while count < 50:
            run.log({"n": n, "text": "x" * 1000})
            n += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        import numbers
        numbers.Real.register(Meddler)
        run.log({"outer": Meddler()})
        print(n, count)
    """)
    assert done.status == 0 and done.warnings == [], done.err
    rows, ticks = map(int, done.out.split())
    found = done.rows
    assert [row["n"] for row in found if "n" in row] == list(range(rows))
    assert sorted(row["tick"] for row in found if "tick" in row) == list(range(ticks))
    assert [row["_step"] for row in found] == list(range(rows + ticks + 2))
    assert found[-2:] == [{"_step": rows + ticks, "outer": 0.5}, {"_step": rows + ticks + 1, "inner": 1}]


def test_threads_lose_and_mix_nothing(train: Train) -> None:
    done = train("""
        import threading
        run = kiseki.init()
        def work(k):
            for i in range(500):
                run.log({"thread": k, "i": i})
        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert run.step == 4000
    """)
    assert done.status == 0, done.err
    for k in range(8):
        assert [row["i"] for row in done.rows if row["thread"] == k] == list(range(500))
    assert [row["_step"] for row in done.rows] == list(range(4000))


def test_dict_that_other_threads_change_loses_no_row(train: Train) -> None:
    done = train("""
        import threading
        run, row, stop = kiseki.init(), {"a": 1}, threading.Event()
        def change():
            n = 0
            while not stop.is_set():
                row[f"k{n % 50}"] = n
                row.pop(f"k{(n + 25) % 50}", None)
                n += 1
        thread = threading.Thread(target=change)
        thread.start()
        for i in range(2000):
            run.log(row)
        stop.set()
        thread.join()
        run.log({"last": 1})
    """)
    assert done.status == 0 and done.warnings == [], done.err
    assert [row["_step"] for row in done.rows] == list(range(2001))


def test_steps_of_the_design(train: Train) -> None:
    done = train("""
        run = kiseki.init()
        run.log({"a": 1}, step=500)
        run.log({"b": 2}, step=3)
        run.log({"c": 3})
        run.log({"d": 4})
        run.log({"e": 5}, commit=False)
        run.log({"f": 6}, step=502, commit=True)
        run.log({})
        assert run.step == 504
    """)
    assert done.status == 0, done.err
    assert done.rows == [
        {"_step": 3, "b": 2},
        {"_step": 500, "a": 1, "c": 3},
        {"_step": 501, "d": 4},
        {"_step": 502, "e": 5, "f": 6},
        {"_step": 503},
    ]


def test_a_step_beyond_all_bounds_costs_no_row(train: Train) -> None:
    done = train("""
        kiseki.init()
        kiseki.log({"a": 1})
        kiseki.log({"a": 2}, step=10**30)
        kiseki.log({"a": 3})
        kiseki.log({"a": 4}, step=2**62)
        kiseki.log({"a": 5}, commit=True)
        kiseki.log({"a": 6})
    """)
    assert done.status == 0
    assert [line for line in done.warnings if "2^62" in line] == done.warnings and len(done.warnings) == 1
    assert [(row["_step"], row["a"]) for row in done.rows] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (2**62, 5),
        (2**62 + 1, 6),
    ]


def test_keys_without_end_are_not_all_named_in_warnings(train: Train) -> None:
    done = train("""
        kiseki.init()
        for i in range(500):
            kiseki.log({f"figure_{i}": object(), "i": i})
    """)
    assert done.status == 0
    assert len(done.warnings) == 101 and "not named any more" in done.warnings[-1]
    assert len(done.rows) == 500

"""`show` and `export` of a run directory: straight from files, with no server and no store."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.server.sampled import record_samples

from kiseki.records.numbers import from_json


def test_show_prints_what_the_files_say(kiseki: Callable, write_run: Callable) -> None:
    ended = kiseki("show", write_run())
    assert ended.returncode == 0, ended.stderr
    for text in ("amber-fox-12", "✓ finished", "ada/digits/1a2b3c4d", "model.depth", "best.loss", "baseline"):
        assert text in ended.stdout


def test_show_as_json_has_the_names_of_the_server(kiseki: Callable, write_run: Callable) -> None:
    run = json.loads(kiseki("show", "--json", write_run()).stdout)
    assert (run["entity"], run["project"], run["id"], run["state"]) == (
        "ada",
        "digits",
        "1a2b3c4d",
        "finished",
    )
    assert run["config"] == {"lr": 0.1, "model": {"depth": 2}}
    assert run["summary"]["best"] == {"loss": 0.25}
    assert run["summary"]["step_name"] == "s2"
    assert run["damage"] == []


def test_export_prints_a_row_a_line(kiseki: Callable, write_run: Callable) -> None:
    lines = kiseki("export", write_run(rows=4)).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["_step"] for row in rows] == [0, 1, 2, 3]
    assert [row["loss"] for row in rows] == [1.0, 1 / 2, 1 / 3, 1 / 4]


def test_export_of_keys_leaves_out_rows_that_lack_one(kiseki: Callable, write_run: Callable) -> None:
    folder = write_run(rows=2)
    rows = [json.loads(line) for line in kiseki("export", folder, "--keys", "loss").stdout.splitlines()]
    assert [(row["_step"], row["loss"], "step_name" in row) for row in rows] == [
        (0, 1.0, False),
        (1, 0.5, False),
    ]
    assert kiseki("export", folder, "--keys", "loss", "--keys", "absent").stdout == ""


def test_a_closed_pipe_ends_an_export_quietly(write_run: Callable) -> None:
    command = f"{sys.executable} -m kiseki.cli export {write_run(rows=20000)} | head -n 1"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, env=os.environ
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["_step"] == 0


def test_a_damaged_file_is_shown_up_to_the_damage(kiseki: Callable, write_run: Callable) -> None:
    folder = write_run(rows=200)
    (file,) = folder.glob("*.kiseki")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    ended = kiseki("show", folder)
    assert ended.returncode == 0
    assert "damage: " in ended.stdout
    assert 0 < json.loads(kiseki("show", "--json", folder).stdout)["rows"] < 200
    exported = kiseki("export", folder)
    assert 0 < len(exported.stdout.splitlines()) < 200
    assert re.search(r"rows are missing: .*damaged at byte \d+\n$", exported.stderr)
    ended = kiseki("show", file)
    assert ended.returncode == 1 and f"a run is its directory: {folder}" in ended.stderr


def test_a_run_whose_process_is_gone_is_crashed(tmp_path: Path, kiseki: Callable) -> None:
    code = (
        "import sys, pathlib\n"
        "from tests.cli.conftest import write_run\n"
        f"print(write_run(pathlib.Path({str(tmp_path)!r}), state=None))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(kiseki("show", "--json", made.stdout.strip()).stdout)["state"] == "crashed"


def test_a_run_that_goes_on_is_running(kiseki: Callable, write_run: Callable) -> None:
    assert json.loads(kiseki("show", "--json", write_run(state=None)).stdout)["state"] == "running"


def test_numbers_that_json_lacks_are_kept(tmp_path: Path, kiseki: Callable, write_run: Callable) -> None:
    from kiseki.records.reader import read_header
    from kiseki.records.writer import RecordWriter

    folder = write_run(rows=0)
    (file,) = folder.glob("*.kiseki")
    header, _ = read_header(file.read_bytes())
    file.unlink()
    out = RecordWriter.create(file, header)
    out.log_row({"nan": math.nan, "inf": -math.inf, "big": 2**60 + 1}, 0)
    out.close()
    row = from_json(kiseki("export", folder).stdout)
    assert math.isnan(row["nan"])
    assert (row["inf"], row["big"]) == (-math.inf, 2**60 + 1)


def test_a_folder_of_runs_is_answered_with_one_to_name(kiseki: Callable, write_run: Callable) -> None:
    folder = write_run()
    ended = kiseki("show", folder.parent)
    assert ended.returncode == 1
    assert ended.stderr == f"kiseki: {folder.parent} holds 1 runs; name one, such as {folder}\n"


def test_a_folder_without_runs_is_said_so(kiseki: Callable, tmp_path: Path) -> None:
    ended = kiseki("export", tmp_path)
    assert (ended.returncode, ended.stderr) == (
        1,
        f"kiseki: {tmp_path} is a folder without a run file (*.kiseki)\n",
    )


def test_show_system_tells_what_was_measured_beside_the_run(kiseki: Callable, write_run: Callable) -> None:
    folder = write_run()
    ended = kiseki("show", "--system", folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Nothing was measured beside this run" in ended.stdout
    record_samples(
        folder,
        "1a2b3c4d".ljust(32, "0"),
        [(10.0 * n, {"system.cpu": 10.0 + n, "system.gpu.0.memoryAllocatedBytes": 3e9}) for n in range(5)],
        run_id="1a2b3c4d",
    )
    ended = kiseki("show", "--system", folder)
    assert "measured on laboratory" in ended.stdout
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["system.cpu", "14", "10", "14", "%", "5"] in lines
    assert ["gpu", "0"] in lines
    assert ["system.gpu.0.memoryAllocatedBytes", *["3,000,000,000"] * 3, "B", "5"] in lines
    system = json.loads(kiseki("show", "--system", "--json", folder).stdout)
    assert [lane["label"] for lane in system["lanes"]] == ["laboratory"]
    assert (system["metrics"][0]["device"], system["metrics"][0]["last"]) == ("cpu", 14.0)
    rows = [json.loads(line) for line in kiseki("export", "--system", folder).stdout.splitlines()]
    assert [row["system.cpu"] for row in rows] == [10.0, 11.0, 12.0, 13.0, 14.0]
    # The run itself is as it was.
    run = json.loads(kiseki("show", "--json", folder).stdout)
    assert (run["rows"], sorted(run["summary"])) == (
        3,
        ["_runtime", "_step", "_timestamp", "best", "loss", "step_name"],
    )


def test_what_a_run_is_called_commands_no_terminal(kiseki: Callable, tmp_path: Path) -> None:
    code = (
        "import kiseki\n"
        "evil = 'a\\x1b]0;title\\x07\\x9b2Jb'\n"
        "with kiseki.init(mode='offline', project='p', name=evil, notes=evil, config={evil: evil}) as run:\n"
        "    print(run.sync_dir)\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    printed = kiseki("show", made.stdout.strip()).stdout
    assert printed.count("a\ufffd]0;title\ufffd\ufffd2Jb") == 4
    assert not set(printed) & {"\x1b", "\x07", "\x9b"}

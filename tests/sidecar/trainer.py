"""A stand-in for the library, as a process: writes a run file and its pointer, and obeys lines on stdin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from kiseki.records.kinds import Header, State
from kiseki.records.writer import RecordWriter
from kiseki.system.process import this_process

NO_FILES = dict.fromkeys(("requirements", "git", "save_code"), (False, "init"))
"""Choices by which a run gets no files by itself, for the servers of these tests take none."""


def main() -> None:
    """Write to RUN_DIR/WRITER.kiseki; `{"spool", "base_url", "mode", "run_id", "uid"}` comes as JSON."""
    run_dir, writer, options = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    process = this_process()
    header = Header(
        run_uid=options.get("uid", "0" * 31 + "1"),
        entity="me",
        project="proj",
        run_id=options.get("run_id", "r1"),
        writer=writer,
        role="train",
        lane=writer,
        primary=options.get("primary", True),
        boot_id=process.boot_id,
        pid=process.pid,
        pid_ns=process.pid_ns,
        pid_start=process.start,
        sdk="0.1",
        mode=options["mode"],
    )
    run_dir.mkdir(parents=True, exist_ok=True)
    records = RecordWriter.create(run_dir / f"{writer}.kiseki", header)
    if options.get("pointer", True):
        pointer = {
            "pid": process.pid,
            "pid_start": process.start,
            "boot_id": process.boot_id,
            "pid_ns": process.pid_ns,
            "run_dir": str(run_dir),
            "writer": writer,
            "cwd": os.getcwd(),
            "prefix": sys.prefix,
            "sys_path": [],
            "mode": options["mode"],
            "base_url": options["base_url"],
            "entity": header.entity,
            "project": header.project,
            "run_id": header.run_id,
            "recording": options.get("recording", NO_FILES),
        }
        path = Path(options["spool"]) / f"{writer}.json"
        path.with_suffix(".new").write_text(json.dumps(pointer))
        os.replace(path.with_suffix(".new"), path)
    print("ready", flush=True)
    step = 0
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "log":
            for _ in range(int(argument)):
                records.log_row({"loss": 1.0 / (step + 1), "acc": float(step)}, step)
                step += 1
        elif command == "large":
            records.log_row({"blob": "x" * int(argument)}, step)
            step += 1
        elif command == "finish":
            records.append(State(records.now(), "finished", 0, None, None))
        elif command == "torn":
            with open(run_dir / f"{writer}.kiseki", "ab") as file:
                file.write(b"\x40\x00\x00\x00torn")
        elif command == "busy":
            until = time.process_time() + float(argument)
            while time.process_time() < until:
                pass
        elif command == "hold":
            held = b"x" * (int(argument) * 2**20)
            records.log_row({"held": float(len(held))}, step)
            step += 1
        elif command == "child":
            subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        elif command == "exit":
            os._exit(int(argument or 0))
        print("ok", flush=True)


main()

"""Running git so that it changes nothing, asks nobody, starts no program of its own, and ends in time."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""More than this of an answer is not read, unless it goes to a file."""

# A file beyond this is compared by git as a whole, without looking for lines: that bounds its memory.
BIG_FILE_BYTES: Final = 25 * 1024 * 1024

_OPTIONS: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.splitIndex=false",
    "core.quotePath=true",
    f"core.bigFileThreshold={BIG_FILE_BYTES}",
    "color.ui=false",
    "color.diff=false",
    "diff.context=3",
    "diff.interHunkContext=0",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.relative=false",
    "diff.suppressBlankEmpty=false",
    "diff.renameLimit=400",
    "protocol.allow=never",
    "submodule.recurse=false",
)
_KEPT_VARIABLES: Final = frozenset(
    ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES",
     "GIT_EXEC_PATH", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
)  # fmt: skip
_CHUNK: Final = 256 * 1024
_ERROR_BYTES: Final = 4096
_KILL_S: Final = 2.0
_SLOW: Final = "too slow"
ENOUGH: Final = "more than is kept"


class GitUnavailable(Exception):
    """There is no git to run."""


class Answer(NamedTuple):
    """What one call of git gave."""

    status: int | None
    """Exit status; None where it was ended before it was done."""
    output: bytes
    why: str
    """What git said in one line, or that it was too slow; "" where all is well."""

    @property
    def ok(self) -> bool:
        """Whether git ended by itself, with success."""
        return self.status == 0

    @property
    def text(self) -> str:
        """The output as text without the line's end; what is no UTF-8 as Python spells file names."""
        return self.output.decode("utf-8", "surrogateescape").rstrip("\n")


class Git:
    """Git in one folder. No call waits longer than its own time, nor all of them beyond `deadline`."""

    def __init__(self, folder: str | Path, deadline: float, scratch: Path, index: str | None = None) -> None:
        """`deadline` by the monotonic clock, in seconds; `scratch` is a folder for copies of an index."""
        self.folder = str(folder)
        self._deadline = deadline
        self._scratch = scratch
        self._environment = _environment()
        if index is not None:
            self._environment["GIT_INDEX_FILE"] = index

    def within(self, folder: str | Path) -> Git:
        """The same in another folder."""
        return Git(folder, self._deadline, self._scratch)

    def on_a_copy_of_the_index(self) -> Git:
        """The same with an index of its own, for `git diff` rewrites that of the repository as it likes.

        Raises OSError where it cannot be copied.
        """
        index = Path(self.folder, self.ask("rev-parse", "--git-path", "index").text)
        copy = self._scratch / f"index-{zlib.crc32(os.fsencode(os.path.realpath(index))):08x}"
        if index.is_file() and not copy.exists():
            # With its times: what changed within the second of the index's own is looked at by content.
            shutil.copy2(index, copy)
        return Git(self.folder, self._deadline, self._scratch, str(copy))

    def ask(self, *arguments: str, seconds: float = 10.0) -> Answer:
        """Run git and take its answer. Raises GitUnavailable."""
        taken = bytearray()

        def take(data: bytes) -> bool:
            taken.extend(data)
            return len(taken) <= ANSWER_BYTES

        answer = self.stream(arguments, take, seconds)
        return answer._replace(output=bytes(taken))

    def stream(self, arguments: Sequence[str], take: Callable[[bytes], bool], seconds: float) -> Answer:
        """Run git and give its output to `take` as it comes, until that returns False.

        Raises GitUnavailable.
        """
        limit = min(time.monotonic() + seconds, self._deadline)
        options = [part for option in _OPTIONS for part in ("-c", option)]
        try:
            process = subprocess.Popen(
                ["git", "-C", self.folder, "--no-pager", *options, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
            )
        except OSError as error:
            raise GitUnavailable(f"git cannot be run: {error.strerror or error}") from error
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            try:
                stopped, said = _read(process.stdout.fileno(), process.stderr.fileno(), take, limit)
            except BaseException:
                process.kill()
                raise
        status = _end(process, limit, at_once=bool(stopped))
        if stopped == _SLOW or (status is None and not stopped):
            return Answer(None, b"", f"git {arguments[0]} took longer than {seconds:g} s")
        if stopped:
            return Answer(None, b"", stopped)
        return Answer(status, b"", _reason(said) if status else "")


def _read(output: int, errors: int, take: Callable[[bytes], bool], limit: float) -> tuple[str, bytes]:
    """Read both streams to their ends; why it stopped before ("" where it did not), and the error text."""
    said = b""
    poll = select.poll()
    for descriptor in (output, errors):
        poll.register(descriptor, select.POLLIN)
    open_ends = 2
    while open_ends:
        left = limit - time.monotonic()
        if left <= 0:
            return _SLOW, said
        for descriptor, _ in poll.poll(left * 1000):
            data = os.read(descriptor, _CHUNK)
            if not data:
                poll.unregister(descriptor)
                open_ends -= 1
            elif descriptor == errors:
                said = (said + data)[-_ERROR_BYTES:]
            elif not take(data):
                return ENOUGH, said
    return "", said


def _end(process: subprocess.Popen[bytes], limit: float, *, at_once: bool) -> int | None:
    """The exit status; None for one that cannot even be killed, because a file system hangs: it is left."""
    if at_once:
        process.kill()
    try:
        return process.wait(timeout=_KILL_S if at_once else max(0.1, limit - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        return None


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT_VARIABLES
    }
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
        "LANGUAGE": "",
    }


def _reason(said: bytes) -> str:
    """The line of git's complaint that says why, without its hints."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    line = (fatal or lines or ["it failed"])[0]
    return line.removeprefix("fatal: ").removeprefix("error: ")[:300]

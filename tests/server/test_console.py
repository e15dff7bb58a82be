"""The console endpoints: pages from both ends, search, text, lanes, and a run that goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from tests.server.recorded import APPEND_HEADERS, RunFile

from kiseki.client.protocol import encode_request
from kiseki.query import console as console_module
from kiseki.query import console_search as search_module
from kiseki.records.kinds import Console, Header, State
from kiseki.records.writer import RecordWriter

RUN = "/api/v1/runs/ada/digits/run1/console"
START_NS = 1_750_000_000 * 10**9


class Printer:
    """A training that prints: one writer of the run."""

    def __init__(self, folder: Path, writer: str = "w000000000000001", **header: Any) -> None:
        folder.mkdir(exist_ok=True)
        fields = {
            "run_uid": "f" * 32,
            "entity": "ada",
            "project": "digits",
            "run_id": "run1",
            "writer": writer,
            "role": "train",
            "lane": writer,
            "wall_ns": START_NS,
            **header,
        }
        self.path = folder / f"{writer}.kiseki"
        self.header = Header(**fields)
        self.file = RecordWriter.create(self.path, self.header)

    def say(self, text: str, stream: int = 1) -> None:
        """Write text to a stream."""
        self.file.append(Console(self.file.now(), stream, text.encode()))

    def end(self) -> None:
        """The process ends well."""
        self.file.append(State(self.file.now(), "finished", 0))
        self.file.close()

    @property
    def run_file(self) -> RunFile:
        """The file as it is sent."""
        return RunFile(self.header.run_uid, self.header.writer, self.path)


@pytest.fixture
def printer(tmp_path: Path) -> Printer:
    return Printer(tmp_path / "run")


def texts(page: dict[str, Any]) -> list[str]:
    return [line["text"] for line in page["lines"]]


@pytest.fixture
def long_log(printer: Printer, user: Any, instance: Any) -> list[str]:
    """60,000 lines in four segments, the last of them not sealed."""
    lines = [f"line {n} {'even' if n % 2 == 0 else 'odd'} {'x' * (n % 61)}" for n in range(60_000)]
    for start in range(0, len(lines), 500):
        printer.say("".join(line + "\n" for line in lines[start : start + 500]))
    user.send(printer.run_file)
    instance.ingest.seal_ended().result()
    return lines


def test_opens_at_the_end(user: Any, long_log: list[str]) -> None:
    page = user.get(RUN)
    assert texts(page) == long_log[-500:]
    assert [line["n"] for line in page["lines"]] == list(range(59_500, 60_000))
    assert (page["total"], page["cursor"], page["live"]) == (60_000, 60_000, True)
    assert 60_000 - page["stable"] == 99
    assert page["lanes"] == [{"lane": 0, "label": "", "lines": 60_000}]
    first = page["lines"][0]
    assert first["stream"] == "stdout" and START_NS / 1e9 <= first["time"] < START_NS / 1e9 + 600


@pytest.mark.parametrize(
    ("start", "limit"), [(0, 10), (31_000, 5000), (59_990, 500), (-70_000, 3), (70_000, 5)]
)
def test_pages_from_anywhere(user: Any, long_log: list[str], start: int, limit: int) -> None:
    page = user.get(RUN, params={"from": start, "limit": limit})
    begin = max(len(long_log) + start, 0) if start < 0 else start
    assert texts(page) == long_log[begin : begin + limit]
    assert [line["n"] for line in page["lines"]] == list(range(begin, min(begin + limit, 60_000)))[:limit]


def test_a_page_of_long_lines_ends_where_it_was_not_asked_for(
    user: Any, long_log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "PAGE_TEXT", 1000)
    first = texts(user.get(RUN, params={"from": 100}))
    assert 1 < len(first) < 60 and first == long_log[100 : 100 + len(first)]
    last = texts(user.get(RUN))
    assert 1 < len(last) < 60 and last == long_log[-len(last) :]
    monkeypatch.setattr(console_module, "PAGE_TEXT", 1)
    assert texts(user.get(RUN)) == long_log[-1:]


def search(user: Any, **query: Any) -> tuple[list[int], int]:
    """All matches of a search and how many requests they took."""
    found: list[int] = []
    start: int | None = 0
    requests = 0
    while start is not None:
        answer = user.get(f"{RUN}/search", params={**query, "from": start})
        found += [match["n"] for match in answer["matches"]]
        start, requests = answer["next"], requests + 1
    return found, requests


@pytest.mark.parametrize(
    ("query", "pattern"),
    [
        ({"q": "line 777"}, "line 777"),
        ({"q": "LINE 5999"}, "line 5999"),
        ({"q": "LINE 5999", "case": "true"}, "LINE 5999"),
        ({"q": "line 5.*even x{7}$", "regex": "true"}, "line 5.*even x{7}$"),
        ({"q": r"^LINE \d\d ODD", "regex": "true"}, r"^line \d\d odd"),
        ({"q": "even", "limit": 5000}, "even"),
    ],
)
def test_search_finds_every_line_in_bounded_pieces(
    user: Any, long_log: list[str], query: dict[str, Any], pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "SEARCH_TEXT", 1_000_000)
    monkeypatch.setattr(search_module, "REGEX_TEXT", 1_000_000)
    found, requests = search(user, **query)
    assert found == [n for n, line in enumerate(long_log) if re.search(pattern, line)]
    assert requests > 1


def test_search_reads_text_without_its_colours(user: Any, printer: Printer) -> None:
    printer.say("\x1b[31mER\x1b[1mROR\x1b[0m: bad\nfine\n")
    user.send(printer.run_file)
    (match,) = user.get(f"{RUN}/search", params={"q": "error: bad"})["matches"]
    assert match["text"] == "\x1b[31mER\x1b[0;1;31mROR\x1b[0m: bad"


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({}, "q"),
        ({"q": "x" * 1001}, "1001 characters"),
        ({"q": "(", "regex": "true"}, "regular expression"),
        ({"q": "(" * 900, "regex": "true"}, "regular expression"),
        ({"q": "a", "limit": 0}, "limit"),
        ({"q": "a", "from": -1}, "from"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(
    user: Any, printer: Printer, query: dict[str, Any], word: str
) -> None:
    printer.say("a\n")
    user.send(printer.run_file)
    answer = user("GET", f"{RUN}/search", params=query)
    assert answer.status_code == 400 and word in answer.json()["error"]


def test_a_pattern_that_never_ends_is_ended(
    user: Any, printer: Printer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "REGEX_SECONDS", 0.5)
    printer.say("a" * 5000 + "\n")
    user.send(printer.run_file)
    answer = user("GET", f"{RUN}/search", params={"q": "(a+)+$b", "regex": "true"})
    assert answer.status_code == 400 and "make it simpler" in answer.json()["error"]


def test_text_is_what_was_printed(user: Any, long_log: list[str], printer: Printer) -> None:
    answer = user("GET", f"{RUN}/text")
    assert answer.text == "".join(line + "\n" for line in long_log)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''run1.log"


def test_text_keeps_colours_where_asked(user: Any, printer: Printer) -> None:
    printer.say("\x1b[32mok\x1b[0m\n")
    user.send(printer.run_file)
    assert user("GET", f"{RUN}/text").text == "ok\n"
    assert user("GET", f"{RUN}/text", params={"ansi": "true"}).text == "\x1b[32mok\x1b[0m\n"


def test_a_live_bar_is_one_line_that_moves(user: Any, printer: Printer) -> None:
    offset = crc = 0
    for percent in (0, 50, 100):
        printer.say(f"\r{percent}%", 2)
        data = printer.run_file.data
        part = printer.run_file.part(offset=offset, crc=crc, data=data[offset:], end_crc=crc32(data))
        user("POST", "/api/v1/append", content=encode_request([part]), headers=APPEND_HEADERS)
        offset, crc = len(data), crc32(data)
        page = user.get(RUN)
        assert [(line["text"], line["stream"]) for line in page["lines"]] == [(f"{percent}%", "stderr")]
        assert (page["total"], page["stable"], page["cursor"], page["live"]) == (1, 0, 0, True)


def test_resumed_writers_follow_each_other_and_forks_have_lanes_of_their_own(
    user: Any, tmp_path: Path, printer: Printer
) -> None:
    printer.say("first\nlast word")
    printer.end()
    second = Printer(
        tmp_path / "run",
        "w000000000000002",
        lane=printer.header.writer,
        resumes=printer.header.writer,
        wall_ns=START_NS + 10**9,
    )
    second.say("resumed\n")
    fork = Printer(
        tmp_path / "run", "w000000000000003", primary=False, label="fork (pid 7)", wall_ns=START_NS + 10**9
    )
    fork.say("from the child\n")
    user.send(printer.run_file, second.run_file, fork.run_file)
    page = user.get(RUN)
    assert texts(page) == ["first", "last word", "resumed"]
    assert page["lanes"] == [
        {"lane": 0, "label": "", "lines": 3},
        {"lane": 1, "label": "fork (pid 7)", "lines": 1},
    ]
    assert texts(user.get(RUN, params={"lane": 1})) == ["from the child"]
    assert [m["n"] for m in user.get(f"{RUN}/search", params={"q": "re"})["matches"]] == [2]
    assert user("GET", RUN, params={"lane": 2}).status_code == 404


def test_a_run_that_printed_nothing(user: Any, printer: Printer) -> None:
    printer.end()
    user.send(printer.run_file)
    page = user.get(RUN)
    assert (page["total"], page["stable"], page["lines"], page["live"]) == (0, 0, [], False)
    assert user("GET", f"{RUN}/text").text == ""
    assert user.get(f"{RUN}/search", params={"q": "x"}) == {"matches": [], "next": None}
    assert user("GET", "/api/v1/runs/ada/digits/none/console").status_code == 404


def test_strangers_see_no_console(stranger: Any, user: Any, printer: Printer) -> None:
    user.send(printer.run_file)
    for path in (RUN, f"{RUN}/search?q=a", f"{RUN}/text"):
        assert stranger("GET", path).status_code == 401

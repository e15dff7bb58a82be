"""A run's Logs tab: the end at once, pages upward, colours, search, a live bar, lanes, download."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.cli.test_logs import Printer
from tests.journeys.world import Home, Server, await_true, homes
from tests.web.conftest import OpenPage
from tests.web.stage import PROJECT, axe_complaints, project_path

pytestmark = pytest.mark.browser

_LINES = 20_000
_ALL = _LINES + 7
"""Of the long log, Kiseki's own two lines at the beginning included."""

_PRINTING = """
import sys, kiseki
run = kiseki.init(project="pedestrians", id="long", name="long-log")
for n in range(20_000):
    print(f"\\x1b[32mINFO\\x1b[0m step {n} loss {1 / (n + 1):.5f}" + (" needle" if n % 4000 == 100 else ""))
print("see https://example.org/a?b=1, then 学習が終わりました")
print("\\x1b[41;97m alarm \\x1b[0m \\x1b[38;2;255;255;0mbright\\x1b[0m")
print("Traceback: bad", file=sys.stderr, flush=True)
for percent in range(0, 101, 5):
    print(f"\\r{percent}%", end="", file=sys.stderr, flush=True)
print("", file=sys.stderr, flush=True)
print("<script>alert(1)</script> & the last line")
run.finish()
kiseki.init(project="pedestrians", id="quiet", settings=kiseki.Settings(console="off")).finish()
"""

_OBEYING = """
import ast, sys, kiseki
run = kiseki.init(project="pedestrians", id="live", name="live-log")
for line in sys.stdin:
    stream, text = ast.literal_eval(line)
    getattr(sys, stream).write(text)
    getattr(sys, stream).flush()
run.finish()
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a long log, a run that was silent, and one that has two lanes and a note."""
    with homes(tmp_path_factory.mktemp("logs"), "logs") as (home,):
        server = home.server()
        home.python(_PRINTING)
        first = Printer(home.work, "lanes", project=PROJECT)
        first.say("from the parent\n")
        first.say("console: 12 lines were left out", 0)
        fork = Printer(
            home.work, "lanes", project=PROJECT, writer="w00000000000000b", lane="w00000000000000b",
            primary=False, label="fork (pid 7)",
        )  # fmt: skip
        fork.say("from the child\n")
        fork.end()
        first.end()
        await_true(
            lambda: (
                {r["id"] for r in server.runs() if r["state"] == "finished"} == {"lanes", "long", "quiet"}
            ),
            what="three ended runs",
        )
        yield server


@pytest.fixture
def open_log(printed: Server, open_page: OpenPage) -> Callable[..., Page]:
    """`open_log(run="long", **options)`: its Logs tab, once it shows something."""

    def open_(run: str = "long", query: str = "", **options: Any) -> Page:
        entity = {r["id"]: r["entity"] for r in printed.runs()}[run]
        page = open_page(printed, f"/{entity}/{PROJECT}/runs/{run}?tab=logs{query}", **options)
        page.locator(".line, .notice").first.wait_for()
        return page

    return open_


class Printing:
    """A training that prints what it is told."""

    def __init__(self, home: Home) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OBEYING], cwd=home.work, env=home.env, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def say(self, text: str, stream: str = "stdout") -> None:
        """Have it write text."""
        assert self._process.stdin
        self._process.stdin.write(repr((stream, text)) + "\n")

    def finish(self) -> None:
        """Let it finish."""
        assert self._process.stdin
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()


def log(page: Page) -> Locator:
    """The element that scrolls."""
    return page.get_by_role("log")


def first_line(page: Page) -> int:
    """The number of the first line that is seen."""
    return int(log(page).get_attribute("data-first") or -1)


def shows(page: Page, text: str) -> None:
    """Wait until a line with this text is on the screen."""
    expect(page.locator(".line .text", has_text=text).last).to_be_in_viewport()


def test_opens_at_the_end_and_pages_upward(open_log: Callable[..., Page]) -> None:
    page = open_log()
    shows(page, "<script>alert(1)</script> & the last line")
    assert log(page).get_attribute("data-total") == str(_ALL)
    assert first_line(page) > _LINES - 60
    assert page.locator(".line").count() < 120
    log(page).focus()
    page.keyboard.press("Home")
    shows(page, "step 0 loss 1.00000")
    assert first_line(page) == 0
    page.keyboard.press("PageDown")
    await_true(lambda: first_line(page) > 20, what="a page down")
    log(page).evaluate("element => element.scrollTo(0, element.scrollHeight / 2)")
    shows(page, "step 10010 ")
    page.get_by_role("button", name="To the end").click()
    shows(page, "the last line")


def test_lines_look_as_in_a_terminal(open_log: Callable[..., Page]) -> None:
    page = open_log()
    info = page.locator(".line", has_text="step 19990").get_by_text("INFO")
    green = page.evaluate(
        """() => {
          const probe = document.body.appendChild(document.createElement("i"));
          probe.style.color = "var(--ansi-2)";
          return getComputedStyle(probe).color;
        }"""
    )
    expect(info).to_have_css("color", green)
    link = page.get_by_role("link", name="https://example.org/a?b=1")
    expect(link).to_have_attribute("href", "https://example.org/a?b=1")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", re.compile("noopener"))
    expect(page.locator(".line.stderr .text")).to_have_text(["Traceback: bad", "100%"])
    expect(page.locator(".line.stderr").first).to_contain_text("Error stream")
    grounds = [
        page.locator(".text span", has_text=word).evaluate("it => getComputedStyle(it).backgroundColor")
        for word in ("alarm", "bright")
    ]
    assert grounds[0] != grounds[1] == "rgba(0, 0, 0, 0)"


def test_times_are_shown_where_wanted_and_never_copied(open_log: Callable[..., Page]) -> None:
    page = open_log()
    last = page.locator(".line", has_text="the last line")
    expect(last.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    copied = page.evaluate(
        """() => {
          const lines = [...document.querySelectorAll('.line')].slice(-2);
          getSelection().setBaseAndExtent(lines[0], 0, lines[1], lines[1].childNodes.length);
          return getSelection().toString();
        }"""
    )
    assert copied.split("\n") == ["100%", "<script>alert(1)</script> & the last line"]
    page.get_by_role("button", name="Times").click()
    expect(page.locator(".line time")).to_have_count(0)
    page.reload()
    shows(page, "the last line")
    expect(page.locator(".line time")).to_have_count(0)


def test_search_walks_from_match_to_match(open_log: Callable[..., Page]) -> None:
    page = open_log()
    log(page).focus()
    page.keyboard.press("/")
    field = page.get_by_label("Search the log")
    expect(field).to_be_focused()
    page.keyboard.type("NEEDLE")
    count = page.get_by_role("status")
    expect(count).to_have_text("5 of 5")
    shows(page, "step 16100 ")
    expect(page.locator(".line.here mark")).to_have_text("needle")
    page.keyboard.press("Enter")
    expect(count).to_have_text("1 of 5")
    shows(page, "step 100 ")
    page.get_by_role("button", name="Previous match").click()
    page.get_by_role("button", name="Previous match").click()
    expect(count).to_have_text("4 of 5")
    shows(page, "step 12100 ")
    page.get_by_role("button", name="Capital and small").click()
    expect(count).to_have_text("no match")
    at = first_line(page)
    page.get_by_role("button", name="Regular expression").click()
    field.fill(r"step 1999\d .*needle$|last LINE")
    expect(count).to_have_text("no match")
    page.get_by_role("button", name="Capital and small").click()
    expect(count).to_have_text("1 of 1")
    shows(page, "the last line")
    field.fill("(")
    expect(page.get_by_role("alert")).to_contain_text("no regular expression")
    field.press("Escape")
    expect(field).to_have_value("")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("mark")).to_have_count(0)
    assert at != first_line(page)


def test_the_whole_log_can_be_downloaded(open_log: Callable[..., Page]) -> None:
    page = open_log()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download the whole log").click()
    assert started.value.suggested_filename == "long.log"
    lines = started.value.path().read_text().splitlines()
    assert len(lines) == _ALL and lines[2] == "INFO step 0 loss 1.00000"


def test_each_process_has_its_lane(open_log: Callable[..., Page]) -> None:
    page = open_log("lanes")
    shows(page, "from the parent")
    expect(page.locator(".line.note")).to_contain_text("Note of Kiseki: ")
    page.get_by_label("Process").select_option(label="fork (pid 7) (1)")
    shows(page, "from the child")
    expect(page.get_by_text("from the parent")).to_have_count(0)
    expect(page).to_have_url(re.compile("lane=1"))
    page.reload()
    shows(page, "from the child")


def test_a_run_whose_console_was_not_recorded_says_so(open_log: Callable[..., Page]) -> None:
    page = open_log("quiet")
    expect(page.get_by_role("heading", name="The console was not recorded")).to_be_visible()
    expect(page.get_by_text("Recording of the console was switched off")).to_be_visible()


def test_a_live_log_is_followed_until_one_scrolls_up(home: Home, open_page: OpenPage) -> None:
    server = home.server()
    training = Printing(home)
    try:
        training.say("begun\n")
        page = open_page(server, f"{project_path(server)}/runs/live?tab=logs")
        shows(page, "begun")
        page.evaluate("window.notReloaded = true")
        for percent in (0, 50, 100):
            training.say(f"\r{percent}%|", "stderr")
            shows(page, f"{percent}%|")
            expect(page.locator(".line.stderr", has_text="%|")).to_have_count(1)
        training.say("\n" + "".join(f"line {n}\n" for n in range(300)))
        shows(page, "line 299")
        follow = page.get_by_role("button", name="Follow")
        expect(follow).to_have_attribute("aria-pressed", "true")
        log(page).hover()
        page.mouse.wheel(0, -900)
        expect(follow).to_have_attribute("aria-pressed", "false")
        at = first_line(page)
        training.say("".join(f"more {n}\n" for n in range(700)))
        await_true(lambda: int(log(page).get_attribute("data-total") or 0) > 1000, what="more lines")
        assert first_line(page) == at
        field = page.get_by_label("Search the log")
        field.fill("late word")
        expect(page.get_by_role("status")).to_have_text("no match")
        training.say("a late word\n")
        expect(page.get_by_role("status")).to_have_text("1 matching")
        assert first_line(page) == at
        follow.click()
        shows(page, "a late word")
        training.say("the end\n")
        shows(page, "the end")
        training.finish()
        expect(page.get_by_role("button", name="To the end")).to_be_visible()
        assert page.evaluate("window.notReloaded")
    finally:
        training.kill()


@pytest.mark.parametrize(
    ("theme", "width", "locale"), [("light", 1440, "en-US"), ("dark", 1440, "en-US"), ("light", 390, "ja-JP")]
)
def test_axe_finds_nothing(open_log: Callable[..., Page], theme: str, width: int, locale: str) -> None:
    page = open_log(color_scheme=theme, width=width, locale=locale)
    page.locator(".field input").fill("needle")
    page.locator(".here").wait_for()
    for end in (False, True):
        if end:
            log(page).evaluate("element => element.scrollTo(0, element.scrollHeight)")
            shows(page, "the last line")
        assert axe_complaints(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

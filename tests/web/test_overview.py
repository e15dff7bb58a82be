"""The Overview tab: what a run stood on, its diff as on a code host, and the line that makes it again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.journeys.world import await_true, homes
from tests.web.conftest import OpenPage
from tests.web.stage import LANGUAGE, Stage

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent.parent.parent / "web/node_modules/axe-core/axe.min.js"

_PATCH = """\
diff --git a/train/train.py b/train/train.py
index 1111111..2222222 100644
--- a/train/train.py
+++ b/train/train.py
@@ -1,3 +1,3 @@ def main():
 import torch
-lr = 0.1
+lr = 0.2
 print(lr)
diff --git a/old.txt b/new.txt
similarity index 100%
rename from old.txt
rename to new.txt
diff --git a/logo.png b/logo.png
deleted file mode 100644
index 4444444..0000000
GIT binary patch
literal 0
HcmV?d00001

"""
_HUGE = "diff --git a/huge.json b/huge.json\nnew file mode 100644\n--- /dev/null\n+++ b/huge.json\n" + (
    "@@ -0,0 +1,30000 @@\n" + "".join(f'+  "key {i}": "{"v" * 60}",\n' for i in range(30000))
)
# As the training and the sidecar fill it, on a machine that no test has.
_RUN = """
import pathlib, kiseki
from kiseki.records.kinds import Environment
NOTES = "Second *try*\\nsee https://example.org/a <b>x</b>"
off = {"disable_git": True, "save_code": False, "x_save_requirements": False, "x_disable_stats": True}
run = kiseki.init(project="detector", id="r1", name="crane", config={"lr": 0.1}, settings=off, notes=NOTES)
run.log({"loss": 1.0})
git = {
    "commit": "3f2b9c1d5e6f708192a3b4c5d6e7f8091a2b3c4d", "base": "aa11bb22cc33dd44ee55ff66007788990011aabb",
    "branch": "feat/loss", "remote": "git@github.com:acme/vision.git", "root": "/w", "dirty": True,
    "ahead": 2, "untracked": ["notes.md"], "subdir": "train", "note": "a shallow clone",
}
left = [{"path": "data.bin", "why": "more than 10 MB"}]
gpu = {"name": "NVIDIA H100", "memory_bytes": 85899345920, "uuid": "GPU-1", "vendor": "nvidia"}
facts = {
    "git": git, "packages_file": "requirements.txt", "lock_files": ["uv.lock"], "diff_file": "diff.patch",
    "diff": {"files": 4, "additions": 30001, "deletions": 1, "truncated": False, "left_out": left},
    "code_file": "code/train/train.py", "gpus": [gpu] * 8, "cuda": {"version": "12.4", "driver": "550.54"},
    "cpu": {"model": "EPYC 9454", "count": 48, "count_logical": 96, "ram_bytes": 2**39},
    "cgroup": {"cpus": 16.0, "memory_bytes": 2**37}, "container": "docker",
    "slurm": {"partition": "gpu", "job_id": "88123"}, "torchrun": {"rank": "0", "world_size": "8"},
}
run._recorder.write(lambda writer: Environment(writer.now(), facts))
files = pathlib.Path(run.dir)
(files / "code/train").mkdir(parents=True)
(files / "code/train/train.py").write_text("import torch")
(files / "diff.patch").write_text(pathlib.Path("patch").read_text())
(files / "requirements.txt").write_text("# Python 3.11\\ntorch==2.5.1\\nnumpy==2.1.0\\n")
(files / "uv.lock").write_text("version = 1")
run.finish()
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server with one run that has everything on its Overview."""
    with homes(tmp_path_factory.mktemp("overview"), "home") as (home,):
        server = home.server()
        (home.work / "patch").write_text(_PATCH + _HUGE + "# Kiseki: left out: 'data.bin': more than 10 MB\n")
        (home.work / "train.py").write_text(_RUN)
        subprocess.run(
            [sys.executable, "train.py", "--api-key", "hunter2"], cwd=home.work, env=home.env, check=True
        )
        run = await_true(lambda: server.run("r1"), what="the run")
        files = f"/api/v1/runs/{run['entity']}/detector/r1/files"
        await_true(
            lambda: b"diff.patch" in server.request(files).split(b'"pending"')[0], what="the run's files"
        )
        yield Stage(home, server, ["r1"])


def _path(stage: Stage) -> str:
    return f"/{stage.server.runs()[0]['entity']}/detector/runs/r1"


def _value(page: Page, name: str) -> Locator:
    term = page.locator("dt").filter(has_text=re.compile(f"^{re.escape(name)}$"))
    return term.locator("xpath=following-sibling::dd[1]")


def test_what_the_run_stood_on_is_said_line_by_line(recorded: Stage, open_page: OpenPage) -> None:
    page = open_page(recorded.server, _path(recorded))
    expect(_value(page, "commit")).to_contain_text("3f2b9c1d5e")
    expect(_value(page, "commit")).to_contain_text("uncommitted changes")
    expect(_value(page, "commit")).to_contain_text("2 commits not pushed")
    # What was not pushed has no page; what it is based on has one.
    assert _value(page, "commit").get_by_role("link").count() == 0
    base = _value(page, "based on").get_by_role("link")
    expect(base).to_have_attribute(
        "href", "https://github.com/acme/vision/commit/aa11bb22cc33dd44ee55ff66007788990011aabb"
    )
    expect(base).to_have_attribute("rel", "noopener noreferrer")
    expect(_value(page, "repository").get_by_role("link")).to_have_text("acme/vision")
    expect(_value(page, "command")).to_contain_text("--api-key")
    expect(_value(page, "command")).not_to_contain_text("hunter2")
    for name, text in {
        "GPUs": "8 × NVIDIA H100, 80 GiB",
        "CUDA": "12.4",
        "GPU driver": "550.54",
        "CPUs": "48 cores, 96 threads",
        "memory": "512 GiB",
        "limited to": "16 CPUs, 128 GiB of memory",
        "container": "docker",
        "job_id": "88123",
        "world_size": "8",
        "note": "a shallow clone",
    }.items():
        expect(_value(page, name)).to_have_text(text)
    _value(page, "untracked").get_by_text("1 file").click()
    expect(page.get_by_text("notes.md")).to_be_visible()


def test_notes_are_markdown_that_cannot_act(recorded: Stage, open_page: OpenPage) -> None:
    page = open_page(recorded.server, _path(recorded))
    notes = page.locator("section").filter(has=page.get_by_role("heading", name="Notes"))
    expect(notes.locator("em")).to_have_text("try")
    expect(notes).to_contain_text("<b>x</b>")
    expect(notes.get_by_role("link")).to_have_attribute("href", "https://example.org/a")
    assert "\n" in notes.locator("p").inner_text()


def test_what_applied_is_said_with_who_chose_it(recorded: Stage, open_page: OpenPage) -> None:
    page = open_page(recorded.server, _path(recorded))
    expect(_value(page, "Git")).to_contain_text("Off · from settings=")
    expect(_value(page, "Console")).to_contain_text("On · by default")
    expect(_value(page, "System metrics")).to_contain_text("Off · from settings=")


def test_packages_are_counted_and_searched(recorded: Stage, open_page: OpenPage) -> None:
    page = open_page(recorded.server, _path(recorded))
    _value(page, "packages").get_by_text("2 packages").click()
    expect(_value(page, "packages")).to_contain_text("numpy==2.1.0")
    _value(page, "packages").get_by_label("Search in packages").fill("TORCH")
    expect(_value(page, "packages").get_by_role("listitem")).to_have_text(["torch==2.5.1"])
    _value(page, "script").get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"tab=files.*file=code%2Ftrain%2Ftrain\.py"))


def test_the_diff_opens_beside_it_and_closes(recorded: Stage, open_page: OpenPage) -> None:
    page = open_page(recorded.server, _path(recorded))
    _value(page, "diff").get_by_role("link").click()
    expect(page).to_have_url(re.compile("diff=1"))
    diff = page.get_by_role("region", name="Changes since the last pushed commit")
    expect(diff.get_by_role("heading", name="Changes since")).to_be_focused()
    first = diff.locator(".file").first
    expect(first.locator("tr.deleted td")).to_have_text(["", "", "−", "lr = 0.1"])
    expect(first.locator("tr.added td")).to_have_text(["", "", "+", "lr = 0.2"])
    assert first.locator("tr.added td").nth(1).get_attribute("data-n") == "2"
    expect(diff).to_contain_text("old.txt → new.txt")
    expect(diff).to_contain_text("Binary: its content is not shown.")
    expect(diff).to_contain_text("data.bin")
    fold = first.get_by_role("button", name="train/train.py")
    fold.focus()
    page.keyboard.press("Enter")
    expect(first.locator("tr")).to_have_count(0)
    expect(page.get_by_role("heading", name="Config")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(first.locator("tr.added")).to_be_visible()
    diff.get_by_role("link", name="Close the diff").click()
    expect(page.get_by_role("heading", name="Config")).to_be_visible()
    expect(_value(page, "diff").get_by_role("link")).to_be_focused()


def test_a_huge_diff_is_read_and_drawn_in_parts(recorded: Stage, open_page: OpenPage) -> None:
    page = open_page(recorded.server, f"{_path(recorded)}?tab=overview&diff=1")
    huge = page.locator(".file").filter(has_text="huge.json")
    expect(huge).to_contain_text("changed lines.")
    expect(page.get_by_text("are shown.")).to_contain_text("2 MB of")
    huge.get_by_role("button", name="Show them").click()
    expect(huge.locator("tr.added").first).to_be_visible()
    assert huge.locator("tr.added").count() < 1100
    huge.get_by_role("button", name="huge.json").click()
    page.get_by_role("button", name="Show more", exact=True).click()
    expect(huge.get_by_role("heading")).to_contain_text("+30,000", timeout=20_000)
    expect(page.get_by_text("are shown.")).to_have_count(0)


def test_the_line_that_makes_it_again_is_copied(recorded: Stage, open_page: OpenPage) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    page = open_page(recorded.server, _path(recorded), permissions=permissions)
    page.get_by_role("button", name="Copy reproduce command").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    entity = recorded.server.runs()[0]["entity"]
    line = f"kiseki reproduce {entity}/detector/r1"
    assert page.evaluate("navigator.clipboard.readText()") == line
    expect(page.get_by_text(line)).to_be_visible()


def test_arrow_keys_walk_over_all_tabs_on_a_phone(recorded: Stage, open_page: OpenPage) -> None:
    page = open_page(recorded.server, _path(recorded), width=390, height=844)
    tabs = page.get_by_role("tab")
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    tabs.first.focus()
    for i in range(1, tabs.count()):
        page.keyboard.press("ArrowRight")
        expect(tabs.nth(i)).to_be_focused()
        expect(tabs.nth(i)).to_be_in_viewport()
        expect(tabs.nth(i)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowRight")
    expect(tabs.first).to_be_focused()
    page.keyboard.press("End")
    expect(tabs.last).to_be_focused()
    page.keyboard.press("Home")
    expect(tabs.first).to_be_focused()
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", "?diff=1"])
def test_axe_finds_nothing_on_it(recorded: Stage, open_page: OpenPage, query: str, theme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in web/")
    page = open_page(recorded.server, _path(recorded) + query, color_scheme=theme, locale=LANGUAGE)
    page.get_by_text("2 packages").wait_for()
    if query:
        page.locator("tr.added").first.wait_for()
    page.evaluate(AXE.read_text() + "; 0")
    found = page.evaluate("axe.run()")
    assert [
        (each["id"], [node["html"][:150] for node in each["nodes"][:3]]) for each in found["violations"]
    ] == []

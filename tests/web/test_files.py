"""The Files tab: a tree and previews, live; what a file holds never acts in the page's name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Frame, Page, expect
from tests.journeys.world import Home, Server, await_true, homes
from tests.web.conftest import OpenPage
from tests.web.stage import axe_complaints

pytestmark = pytest.mark.browser

_HOSTILE = """
<h1>safe</h1><img src="/api/v1/projects"><link rel="stylesheet" href="/api/v1/server">
<form action="/api/v1/keys" method="post" id="f"><input name="name" value="x"></form>
<meta http-equiv="refresh" content="0; url=/api/v1/projects">
<script>
  document.querySelector("h1").textContent = "SCRIPT " + document.cookie;
  fetch("/api/v1/projects", {credentials: "include"}); document.getElementById("f").submit();
  top.location = "/stolen"; parent.document.title = "stolen";
</script>
<iframe src="/api/v1/projects"></iframe><object data="/api/v1/projects"></object>
<img src="x" onerror="document.querySelector('h1').textContent = 'SCRIPT'">
<svg><script>parent.document.title = "stolen"</script></svg>
"""

_SCRIPT = """
import base64, json, pathlib, struct, sys, zlib
import kiseki

def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\\0" + bytes((200, 80, 40)) * width for _ in range(height)))
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")

hostile = json.loads(sys.stdin.readline())
run = kiseki.init(project="pedestrians", id="files", name="with-files")
files = pathlib.Path(run.dir)
def put(name, data):
    path = files / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())

cells = [
    {"cell_type": "markdown", "source": "# Report\\n<b>bold</b> and [a link](https://example.org)"},
    {"cell_type": "code", "execution_count": 7, "source": "plot()", "outputs": [
        {"output_type": "stream", "name": "stdout", "text": "a line of output"},
        {"output_type": "display_data", "data": {"image/png": base64.b64encode(png(8, 4)).decode()}},
        {"output_type": "execute_result", "data": {"text/html": "<p>of a frame</p>" + hostile}}]},
]
put("README.md", "# Read me\\n\\n- **first**\\n- [x](javascript:alert(1))\\n\\n" + hostile)
put("log/train.log", "".join(f"line {i}\\n" for i in range(150_000)))
put("data/table.csv", "epoch,loss,note\\n" + "".join(f'{i},{i / 7:.3f},"a, {i}"\\n' for i in range(6000)))
put("data/config.json", json.dumps({"model": {"layers": 3}, "big": 12345678901234567890}))
put("media/picture.png", png(40, 20))
put("media/broken.png", b"no picture")
put("media/page.html", hostile)
put("media/drawing.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='parent.document.title=1'>"
    "<text y='20'>safe</text><script>document.querySelector('text').textContent='SCRIPT'</script></svg>")
put("notebook.ipynb", json.dumps({"nbformat": 4, "cells": cells}))
put("model.bin", bytes(range(256)) * 8)
put("empty.txt", "")
put("日本語/100% #1?.txt", "a name of every kind")
run.finish()
"""

_LIVE = """
import pathlib, sys, kiseki
run = kiseki.init(project="pedestrians", id="live", name="live-files")
path = pathlib.Path(run.dir, "progress.txt")
print("ok", flush=True)
for line in sys.stdin:
    path.write_text(line.strip() + "\\n" + "".join(f"row {i}\\n" for i in range(500)))
    print("ok", flush=True)
run.finish()
"""


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an ended run that has files of many kinds."""
    with homes(tmp_path_factory.mktemp("files"), "files") as (home,):
        server = home.server()
        subprocess.run(
            [sys.executable, "-c", _SCRIPT], input=json.dumps(_HOSTILE) + "\n", cwd=home.work, env=home.env,
            text=True, check=True, timeout=90,
        )  # fmt: skip
        await_true(lambda: len(_files(server, "files")) >= 13, seconds=60, what="the files on the server")
        yield server


def _files(server: Server, run: str) -> dict[str, Any]:
    path = server._path_of(run)
    if path is None:
        return {}
    listing = json.loads(server.request(f"{path}/files"))
    return {file["path"]: file for file in listing["files"]}


def _address(server: Server, run: str, file: str = "") -> str:
    path = server._path_of(run)
    assert path is not None
    entity, project, _ = path.removeprefix("/api/v1/runs/").split("/")
    return f"/{entity}/{project}/runs/{run}?tab=files" + (f"&file={quote(file, safe='')}" if file else "")


def _content(page: Page) -> Any:
    return page.get_by_role("region", name="Content of the file")


def test_the_tree_is_walked_and_opened_by_keyboard(filed: Server, open_page: OpenPage) -> None:
    page = open_page(filed, _address(filed, "files"))
    tree = page.get_by_role("tree", name="Files of this run")
    expect(page.get_by_text("Choose a file")).to_be_visible()
    expect(tree.get_by_role("treeitem", name="table.csv")).to_be_visible()
    tree.get_by_role("treeitem").first.focus()
    focused = page.locator("[role=treeitem]:focus")
    page.keyboard.press("End")
    expect(focused).to_contain_text("requirements.txt")
    page.keyboard.press("Home")
    expect(focused).to_contain_text("data")
    page.keyboard.press("ArrowDown")
    expect(focused).to_contain_text("config.json")
    page.keyboard.press("ArrowUp")
    expect(focused).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowLeft")
    expect(focused).to_have_attribute("aria-expanded", "false")
    expect(tree.get_by_role("treeitem", name="table.csv")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowRight")
    expect(focused).to_contain_text("config.json")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"file=data(%2F|/)config\.json"))
    expect(page.get_by_role("heading", name="data/config.json")).to_be_visible()
    expect(page.get_by_text("12345678901234567890")).to_be_visible()
    page.get_by_label("Search files").fill("media png")
    expect(tree.get_by_role("treeitem")).to_have_count(3)
    page.get_by_label("Search files").fill("nowhere")
    expect(page.get_by_text("No path holds “nowhere”.")).to_be_visible()


def test_each_file_is_shown_in_the_way_that_fits_it(filed: Server, open_page: OpenPage) -> None:
    page = open_page(filed)
    for file, words in {
        "log/train.log": ["line 0", "The first 1 MB of 1.69 MB"],
        "data/table.csv": ["epoch", "0.143", "a, 1", "First 5,000 rows"],
        "model.bin": ["2,048 bytes", "00000010", "First 512 bytes", "application/octet-stream"],
        "empty.txt": ["The file is empty."],
        "日本語/100% #1?.txt": ["a name of every kind"],
        "media/broken.png": ["This file cannot be shown"],
        "nothing/here.txt": ["There is no file nothing/here.txt here"],
    }.items():
        page.goto(filed.url + _address(filed, "files", file))
        for word in words:
            expect(page.get_by_text(word).first).to_be_visible()


def test_a_file_whose_content_never_came_says_how_it_can(home: Home, open_page: OpenPage) -> None:
    server = home.server()
    subprocess.run(
        [sys.executable, "-c", "import kiseki, pathlib; run = kiseki.init(project='pedestrians', id='lost');"
         "pathlib.Path(run.dir, 'lost.txt').write_text('x'); run.finish()"],
        cwd=home.work, env=home.env, check=True, timeout=90,
    )  # fmt: skip
    await_true(lambda: "lost.txt" in _files(server, "lost"), seconds=60, what="the file on the server")
    await_true(lambda: (server.run("lost") or {}).get("state") == "finished", what="the run's end")
    home.kill_sidecars()  # A living one would record that it was removed.
    (home.run_folder("lost") / "files/lost.txt").unlink()
    page = open_page(server, _address(server, "lost", "lost.txt"))
    expect(page.get_by_text("kiseki sync")).to_be_visible()
    expect(page.get_by_role("treeitem", name="lost.txt")).to_contain_text("not here")


def test_a_long_text_is_read_piece_by_piece(filed: Server, open_page: OpenPage) -> None:
    page = open_page(filed, _address(filed, "files", "log/train.log"))
    page.get_by_role("button", name=re.compile("Load .* more")).click()
    expect(page.get_by_role("button", name=re.compile("Load .* more"))).to_have_count(0)
    _content(page).evaluate("element => { element.scrollTop = element.scrollHeight }")
    expect(page.get_by_text("line 149999")).to_be_visible()
    expect(_content(page).locator(".number").last).to_have_text("150000")
    assert page.locator(".line").count() < 500
    page.reload()
    page.get_by_role("button", name="Show the end").click()
    expect(page.get_by_text("line 149999")).to_be_visible()
    expect(page.get_by_text("The last 1 MB of 1.69 MB")).to_be_visible()
    page.get_by_role("button", name="Show the beginning").click()
    expect(page.get_by_text("line 0", exact=True)).to_be_visible()


def test_a_picture_has_its_size_and_a_download_is_the_file(filed: Server, open_page: OpenPage) -> None:
    page = open_page(filed, _address(filed, "files", "media/picture.png"))
    expect(page.get_by_text("40 × 20 pixels")).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == "picture.png"
    listed = _files(filed, "files")["media/picture.png"]
    assert started.value.path().stat().st_size == listed["size"]


def test_markdown_and_notebooks_are_formatted_without_their_html(filed: Server, open_page: OpenPage) -> None:
    page = open_page(filed, _address(filed, "files", "README.md"))
    expect(page.get_by_role("heading", name="Read me")).to_be_visible()
    expect(_content(page).locator("strong", has_text="first")).to_be_visible()
    expect(_content(page)).to_contain_text("<h1>safe</h1>")
    expect(_content(page).locator("a[href^=javascript], img, form, iframe, script")).to_have_count(0)
    page.get_by_text("Source", exact=True).click()
    expect(page).to_have_url(re.compile("source=1"))
    expect(_content(page)).to_contain_text("- **first**")
    page = open_page(filed, _address(filed, "files", "notebook.ipynb"))
    expect(page.get_by_role("heading", name="Report")).to_be_visible()
    expect(_content(page)).to_contain_text("<b>bold</b> and a link")
    expect(_content(page)).to_contain_text("a line of output")
    expect(page.get_by_role("img", name="Output 2")).to_be_visible()
    expect(page.frame_locator("iframe[sandbox='']").get_by_text("of a frame")).to_be_visible()


@pytest.mark.parametrize("file", ["media/page.html", "media/drawing.svg", "README.md", "notebook.ipynb"])
def test_a_hostile_file_reads_no_cookie_and_calls_no_api(
    filed: Server, open_page: OpenPage, file: str
) -> None:
    page = open_page(filed, "/")
    page.get_by_text("pedestrians").first.wait_for()
    asked: list[str] = []

    def note(response: Any) -> None:  # What the policy blocks is no request, so gets no response.
        if f"/files/{quote(file)}" not in response.url and response.frame != page.main_frame:
            asked.append(response.url)

    page.on("response", note)
    page.goto(filed.url + _address(filed, "files", file))
    frames = page.locator("iframe[sandbox='']")
    if file != "README.md":
        expect(frames).to_have_count(1)
        expect(frames.content_frame.get_by_text("safe")).to_be_visible()
        inner = await_true(lambda: [frame for frame in page.frames if frame.parent_frame], what="the frame")
        assert _origin(inner[0]) == "null"
    else:
        expect(_content(page)).to_contain_text("safe")
    # What a document tries, it tries while it is read: before a later request of the page is answered.
    page.evaluate("() => fetch('/api/v1/server').then(() => new Promise(requestAnimationFrame))")
    assert asked == []
    assert "stolen" not in page.title()
    assert page.url.startswith(filed.url)
    expect(page.get_by_role("heading", name="with-files")).to_be_visible()


@pytest.mark.parametrize("file", ["media/page.html", "media/drawing.svg"])
def test_a_hostile_file_opened_by_itself_has_an_origin_of_its_own(
    filed: Server, open_page: OpenPage, file: str
) -> None:
    page = open_page(filed, "/")
    address = f"{filed.url}{filed._path_of('files')}/files/{quote(file)}"
    assert page.context.request.get(address).headers["content-disposition"].startswith("attachment")
    page.goto(f"{address}?inline=1")
    expect(page.get_by_text("safe")).to_be_visible()
    assert _origin(page.main_frame) == "null"
    assert page.evaluate("() => { try { return document.cookie } catch (error) { return error.name } }") == (
        "SecurityError"
    )
    answer = page.evaluate(
        "() => fetch('/api/v1/projects', {credentials: 'include'}).then(() => 'answered', () => 'refused')"
    )
    assert answer == "refused"


def _origin(frame: Frame) -> str:
    origin: str = frame.evaluate("() => self.origin")
    return origin


def test_a_file_that_changes_is_read_again_and_the_place_is_kept(home: Home, open_page: OpenPage) -> None:
    server = home.server()
    with subprocess.Popen(
        [sys.executable, "-c", _LIVE], cwd=home.work, env=home.env, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as training:  # fmt: skip
        assert training.stdin is not None and training.stdout is not None
        training.stdout.readline()

        def write(word: str) -> None:
            assert training.stdin is not None and training.stdout is not None
            training.stdin.write(word + "\n")
            training.stdout.readline()

        write("first")
        await_true(lambda: "progress.txt" in _files(server, "live"), seconds=40, what="the file")
        page = open_page(server, _address(server, "live", "progress.txt"))
        expect(_content(page)).to_contain_text("first")
        _content(page).evaluate("element => { element.scrollTop = 300 }")
        write("second-version")
        expect(page.locator(".line").first).to_contain_text("second-version", timeout=40_000)
        assert _content(page).evaluate("element => element.scrollTop") == 300
        training.stdin.close()
        assert training.wait(60) == 0


def test_on_a_narrow_screen_the_preview_is_below(filed: Server, open_page: OpenPage) -> None:
    page = open_page(filed, _address(filed, "files", "data/table.csv"), width=390, height=844)
    expect(page.get_by_text("First 5,000 rows")).to_be_visible()
    tree = page.get_by_role("tree").locator("xpath=..").bounding_box()
    table = _content(page).bounding_box()
    assert tree is not None and table is not None
    assert table["y"] >= tree["y"] + tree["height"]
    assert table["x"] + table["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize(
    ("file", "theme"),
    [
        ("data/table.csv", "light"),
        ("log/train.log", "dark"),
        ("notebook.ipynb", "dark"),
        ("model.bin", "light"),
    ],
)
def test_axe_finds_nothing(filed: Server, open_page: OpenPage, file: str, theme: Any) -> None:
    page = open_page(filed, _address(filed, "files", file), color_scheme=theme)
    page.get_by_role("link", name="Download").wait_for()
    shown = page.get_by_text("First 512 bytes") if file == "model.bin" else _content(page)
    shown.first.wait_for()
    assert axe_complaints(page) == []

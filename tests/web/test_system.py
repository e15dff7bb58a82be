"""A run's System tab: every device over time, in its unit, beside the training's steps."""

from __future__ import annotations

import math
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect
from tests.journeys.world import Home, Server, await_true, homes
from tests.server.recorded import APPEND_HEADERS, START_NS, RunFile, answers, record_run
from tests.server.sampled import record_samples, record_timed
from tests.web.conftest import OpenPage
from tests.web.stage import await_drawn, axe_complaints, drawn_to, panel, point_in

from kiseki.client.protocol import Part, encode_request
from kiseki.records.kinds import Header
from kiseki.records.writer import RecordWriter

pytestmark = pytest.mark.browser

START = START_NS / 1e9
PAGE = "/ada/digits/runs/{}?tab=system"
CPU = "cpu/system.cpu"
CORES = "cpu/system.cpu.*.cpu_percent"


def sample(n: int, *, gpus: int = 1) -> dict[str, Any]:
    """What a machine of four cores measures at its n-th sample."""
    wave = math.sin(n / 5)
    row: dict[str, Any] = {
        "system.cpu": 40 + 20 * wave,
        "system.cpu.cpu_percent": 50 + 20 * wave,
        "system.memory_percent": 61.5,
        "system.proc.memory.availableMB": 9000 - 20 * n,
        "system.proc.memory.rssMB": 1500.0 + 4 * n,
        "system.proc.cpu.threads": 9.0,
        "system.disk./.usagePercent": 71.0,
        "system.disk./data.usagePercent": 12.0 + n / 10,
        "system.network.recvBps": 2.5e6 * (1 + wave),
    }
    row |= {f"system.cpu.{core}.cpu_percent": 50 + core * 10 + 20 * wave for core in range(4)}
    for gpu in range(gpus):
        row |= {
            f"system.gpu.{gpu}.gpu": 95 + 3 * wave - gpu,
            f"system.gpu.{gpu}.memoryAllocatedBytes": 30e9 + 1e8 * n,
            f"system.gpu.{gpu}.temp": 64.0 + n / 10,
            f"system.gpu.{gpu}.powerWatts": 280.0 + 20 * wave,
            f"system.gpu.{gpu}.smClock": 1410.0,
            f"system.gpu.process.{gpu}.gpu": 95 + 3 * wave - gpu,
        }
    return row


def send(server: Server, *parts: Part) -> None:
    """Append parts to a server, which must take them."""
    headers = {**APPEND_HEADERS, "Authorization": f"Bearer {server.key}"}
    request = urllib.request.Request(
        f"{server.url}/api/v1/append", data=encode_request(parts), headers=headers, method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert [one.status for one in answers(answer.read())] == [200] * len(parts)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Server]]:
    """A server with runs that were measured: on one host, on two, not at all."""
    folder = tmp_path_factory.mktemp("measured")
    rows = [(5.0 * step, step, {"loss": 1 / (step + 1)}) for step in range(200)]
    one = record_timed(folder / "one", rows, run_id="one", state="finished")
    two = record_timed(folder / "two", rows, run_id="two", state="finished")
    none = record_timed(folder / "none", rows[:3], run_id="none", state="finished")
    choice = {"recording": {"system_interval": {"value": 0, "source": "project"}}}
    off = record_run(folder / "off", "off", [(0, {"loss": 1.0})], environment=choice)
    samples = [(10.0 * n, sample(n)) for n in range(100)]
    with homes(folder, "home") as (home,):
        server = home.server()
        send(server, one.part(), record_samples(folder / "one", one.uid, samples, run_id="one").part())
        send(server, two.part(), none.part(), off.part())
        for number in (1, 2):
            beside = record_samples(
                folder / "two",
                two.uid,
                samples,
                run_id="two",
                host=f"node-{number}",
                start_ns=START_NS + number * 10**9,
            )
            send(server, beside.part())
        yield home, server


def titles(page: Page) -> list[str]:
    """The names of the sections, from the top."""
    return [text.strip() for text in page.locator(".grid h2 .cut").all_inner_texts()]


def test_every_device_is_a_section_over_wall_time(measured: tuple[Home, Server], open_page: OpenPage) -> None:
    page = open_page(measured[1], PAGE.format("one"))
    await_drawn(page, CPU, START + 990)
    assert titles(page) == ["CPU", "Memory", "GPU 0", "Process", "Disk", "Network"]
    expect(page.get_by_role("tab", name="System")).to_have_attribute("aria-selected", "true")
    expect(panel(page, CPU)).to_have_attribute(
        "aria-label", "CPU: CPU of the run, of what it may use (%): 1 line, values from 20 to 59.99"
    )
    expect(panel(page, CORES)).to_have_attribute("aria-label", re.compile(r"CPU by core \(%\): 4 lines"))
    expect(panel(page, CORES).locator(".labels span")).to_have_count(4)
    memory = panel(page, "memory/system.proc.memory.availableMB")
    expect(memory).to_have_attribute("aria-label", re.compile(r"\(GB\): 1 line, values from 6.855 to 8.789"))
    page.get_by_role("heading", name="GPU 0").scroll_into_view_if_needed()
    for chart, unit in (("temp", "°C"), ("powerWatts", "W"), ("smClock", "MHz")):
        expect(panel(page, f"gpu.0/system.gpu.*.{chart}")).to_contain_text(f"({unit})")
    assert page.locator('[data-metric*="gpu.process"]').count() == 0
    page.get_by_role("heading", name="Network").scroll_into_view_if_needed()
    expect(panel(page, "network/system.network.recvBps")).to_contain_text("(MB/s)")


def test_the_hover_box_says_value_unit_and_the_trainings_step(
    measured: tuple[Home, Server], open_page: OpenPage
) -> None:
    page = open_page(measured[1], PAGE.format("one"))
    await_drawn(page, CPU, START + 990)
    page.mouse.move(*point_in(page, CPU, 0.5))
    box = page.locator(".box")
    expect(box).to_contain_text("wall time")
    found = await_true(lambda: re.search(r"step (\d+)", box.inner_text()), what="the training's step")
    # A step every 5 s, in the middle of 990 s.
    assert 97 <= int(found[1]) <= 101
    expect(box.locator(".value")).to_have_text(re.compile(r"^\d+(\.\d+)?\s%$"))


def test_axis_search_table_and_folds_are_those_of_all_charts(
    measured: tuple[Home, Server], open_page: OpenPage
) -> None:
    page = open_page(measured[1], PAGE.format("one"))
    await_drawn(page, CPU, START + 990)
    axis = page.get_by_label("x axis")
    expect(axis.locator("option")).to_have_text(["wall time", "relative time"])
    axis.select_option("_runtime")
    await_true(lambda: 0 < drawn_to(page, CPU) < 1000, what="relative time")
    expect(page).to_have_url(re.compile("x=_runtime"))
    page.mouse.move(*point_in(page, CPU, 0.25))
    expect(page.locator(".box")).to_contain_text(re.compile(r"step (4[89]|5[01])"))
    page.get_by_role("textbox", name=re.compile("Search charts")).fill("temperature")
    await_true(lambda: titles(page) == ["GPU 0"], what="one section")
    page.get_by_role("textbox", name=re.compile("Search charts")).fill("")
    cores = panel(page, CORES)
    cores.hover()
    cores.get_by_role("button", name=re.compile("Show as table")).click()
    expect(cores.get_by_role("rowheader")).to_have_text([f"core {n}" for n in range(4)])


def test_several_hosts_are_lines_of_their_own(measured: tuple[Home, Server], open_page: OpenPage) -> None:
    page = open_page(measured[1], PAGE.format("two"))
    await_drawn(page, CPU, START + 990)
    expect(panel(page, CPU).locator(".labels span")).to_have_text(["node-1", "node-2"])
    expect(panel(page, CORES)).to_have_attribute("aria-label", re.compile("8 lines"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(
    measured: tuple[Home, Server], open_page: OpenPage, theme: Literal["light", "dark"]
) -> None:
    page = open_page(measured[1], PAGE.format("two"), color_scheme=theme)
    await_drawn(page, CPU)
    assert axe_complaints(page) == []


def test_it_fits_a_phone_and_speaks_japanese(measured: tuple[Home, Server], open_page: OpenPage) -> None:
    page = open_page(measured[1], PAGE.format("one"), width=390, height=844, locale="ja-JP")
    await_drawn(page, CPU, START + 990)
    assert titles(page) == ["CPU", "メモリ", "GPU 0", "プロセス", "ディスク", "ネットワーク"]
    expect(panel(page, CPU)).to_contain_text("この実行の CPU 使用率")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_measured_is_said_in_words(measured: tuple[Home, Server], open_page: OpenPage) -> None:
    page = open_page(measured[1], PAGE.format("none"))
    expect(page.get_by_text("Nothing was measured beside this run")).to_be_visible()
    expect(page.get_by_text(re.compile("ended before the first sample"))).to_be_visible()
    page.goto(measured[1].url + PAGE.format("off"))
    expect(page.get_by_text(re.compile("Measuring was switched off for this run"))).to_be_visible()


def test_samples_appear_as_they_come(home: Home, open_page: OpenPage, tmp_path: Path) -> None:
    server = home.server()
    train = record_timed(tmp_path, [(0, 0, {"loss": 1.0})], run_id="live")
    send(server, train.part())
    page = open_page(server, PAGE.format("live"))
    expect(page.get_by_text("The first samples")).to_be_visible()
    head = Header(
        run_uid=train.uid,
        entity="ada",
        project="digits",
        run_id="live",
        writer="wsssssssssssssss",
        role="sidecar",
        lane="wsssssssssssssss",
        primary=False,
        label="laboratory",
    )
    writer = RecordWriter.create(tmp_path / "sidecar.kiseki", head)
    writer.log_row({"system.cpu": 50.0}, 0)
    writer.log_row({"system.cpu": 51.0}, 1)
    file = RunFile(train.uid, head.writer, writer.path)
    send(server, file.part())
    await_drawn(page, CPU)
    known, crc = file.data, file.part().end_crc
    before = drawn_to(page, CPU)
    writer.log_row({"system.cpu": 52.0, "system.memory_percent": 10.0}, 2)
    writer.close()
    grown = RunFile(train.uid, head.writer, writer.path)
    more = grown.part(offset=len(known), crc=crc, data=grown.data[len(known) :])
    send(server, more)
    await_true(lambda: drawn_to(page, CPU) > before, what="the new sample")
    await_drawn(page, "memory/system.memory_percent")

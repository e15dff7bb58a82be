"""`kiseki logs`: what a run printed, from a server, the store, or straight from its files."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from kiseki.cli.target import run_directory
from kiseki.records.kinds import CONSOLE_STREAMS
from kiseki.records.numbers import to_json
from kiseki.records.sgr import without_styles

if TYPE_CHECKING:
    from kiseki.records.console import ConsoleView, DirectoryConsole
    from kiseki.records.kinds import Header
    from kiseki.records.terminal import Line

_DIRECTORY_PAUSE_S = 0.2
_TOGETHER = 1000


class _Source(NamedTuple):
    """Where lines come from: views from a line on, all lines from one on, and seconds between two looks.

    `texts` gives all lines' texts alone, with colours or not, where that is quicker.
    """

    view: Callable[[int], ConsoleView]
    lines: Callable[[int], Iterable[tuple[int, Line]]]
    pause: float
    texts: Callable[[bool], Iterator[str]] | None


class _Style(NamedTuple):
    """How a line is printed."""

    ansi: bool
    json: bool
    times: bool
    grep: str | None

    def holds(self, text: str) -> bool:
        """Whether a line of this text is printed at all."""
        return self.grep is None or self.grep in without_styles(text)

    def text(self, number: int, line: Line) -> str:
        """The line as it is printed."""
        text = line.text if self.ansi else without_styles(line.text)
        if self.json:
            stream = CONSOLE_STREAMS.get(line.stream, "stdout")
            return to_json({"n": number, "time": line.time_us / 1e6, "stream": stream, "text": text}).decode()
        if not self.times:
            return text
        return datetime.fromtimestamp(line.time_us / 1e6).strftime("%m-%d %H:%M:%S.%f")[:-3] + "  " + text


@click.command("logs")
@click.argument("run", metavar="RUN|DIR")
@click.option("-f", "--follow", is_flag=True, help="Go on with what the run prints, until it ends.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", help="Only the last N lines.")
@click.option("--grep", metavar="TEXT", help="Only lines that hold TEXT.")
@click.option("-t", "--times", is_flag=True, help="Say when each line last changed.")
@click.option("--lane", type=click.IntRange(0), default=0, help="Of which lane (0: the primary one).")
@click.option("--ansi/--no-ansi", default=None, help="Colours (default: where the output is a terminal).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def command(
    run: str,
    follow: bool,
    lines: int | None,
    grep: str | None,
    times: bool,
    lane: int,
    ansi: bool | None,
    as_json: bool,
) -> None:
    """Print what a run printed, as its terminal showed it.

    RUN is entity/project/id, project/id or id; DIR is a run directory, read as it is, without any server.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()
    colours = (terminal and not as_json) if ansi is None else ansi
    style = _Style(ansi=colours, json=as_json, times=times, grep=grep)
    folder = run_directory(run)
    source = _of_run(run, lane) if folder is None else _of_directory(folder, lane, lines, follow)
    if follow and terminal and not as_json and grep is None:
        _follow_on_terminal(source, style, lines)
        return
    if source.texts is not None and lines is None and not (follow or times or as_json):
        _print(filter(style.holds, source.texts(colours)), together=_TOGETHER)
        return
    chosen = ((n, line) for n, line in _chosen(source, follow, lines) if style.holds(line.text))
    _print((style.text(n, line) for n, line in chosen), together=1 if follow else _TOGETHER)


def _print(texts: Iterable[str], *, together: int) -> None:
    """Print lines, so many at a time."""
    left = iter(texts)
    while batch := list(islice(left, together)):
        _write("\n".join(batch) + "\n")
        if together == 1:
            sys.stdout.flush()


def _chosen(source: _Source, follow: bool, lines: int | None) -> Iterator[tuple[int, Line]]:
    """The lines to print, each once."""
    if not follow:
        yield from source.lines(0) if lines is None else source.lines(-lines) if lines else ()
        return
    from kiseki.client.console import follow_lines

    first = 0
    if lines is not None:
        first = max(source.view(-1).total - lines, 0)
    yield from follow_lines(source.view, first, lambda: time.sleep(source.pause))


def _follow_on_terminal(source: _Source, style: _Style, lines: int | None) -> None:
    """Show the lines as they are now, those that change too, until the run ends."""
    from kiseki.cli.redraw import LiveLines

    live = LiveLines(_write, shutil.get_terminal_size)
    first = 0 if lines is None else max(source.view(-1).total - lines, 0)
    while True:
        seen = source.view(first)
        last = seen.lines[-1][0] + 1 if seen.lines else first
        live.show([(n, style.text(n, line)) for n, line in seen.lines], seen.stable)
        sys.stdout.flush()
        first = max(first, min(seen.stable, last))
        if last < seen.total:
            continue
        if not seen.live:
            return
        time.sleep(source.pause)


def _of_run(run: str, lane: int) -> _Source:
    from kiseki.client.api import Api
    from kiseki.client.console import RunConsole

    api = Api()
    console = RunConsole(api, api.run(run).path, lane)
    return _Source(console.view, console.lines, console.pause, lambda ansi: console.texts(ansi=ansi))


def _of_directory(folder: Path, lane: int, lines: int | None, follow: bool) -> _Source:
    from kiseki.records.console import DirectoryConsole

    console = DirectoryConsole(folder, lane)
    # Only of one writer are numbers known before everything is read, and only without `-n` are they enough.
    while console.update() and (lines is not None or console.writers > 1):
        if lines is not None:
            console.forget(-max(lines, 1))

    def view(first: int) -> ConsoleView:
        more = console.update()
        if first > 0:
            console.forget(first)
        seen = _view(console, first)
        return seen._replace(live=True) if more else seen

    def every(first: int) -> Iterator[tuple[int, Line]]:
        while first >= 0 and console.update():
            seen = _view(console, first)
            # What may still change may do so in the next piece.
            yield from (line for line in seen.lines if line[0] < seen.stable)
            first = max(first, seen.stable)
            console.forget(first)
        yield from _view(console, first).lines
        for damage in console.damage:
            click.echo(f"kiseki: lines are missing: {damage}", err=True)

    return _Source(view, every, _DIRECTORY_PAUSE_S, None)


def _view(console: DirectoryConsole, first: int) -> ConsoleView:
    try:
        return console.view(first, _alive)
    except LookupError as error:
        raise click.ClickException(str(error)) from error


def _alive(header: Header) -> bool:
    """Whether a writer's process may still write: unless it is known to be gone."""
    from kiseki.system.process import ProcessId, is_alive

    return is_alive(ProcessId(header.pid, header.pid_start, header.boot_id, header.pid_ns)) is not False


def _write(text: str) -> None:
    # What the terminal's encoding lacks is no reason to stop.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))

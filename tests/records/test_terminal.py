"""What a terminal would show of a run's output, compared with pyte, a terminal of its own."""

from __future__ import annotations

import random
import re

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiseki.records.screen_row import CUT_MARK, MAX_COLUMNS
from kiseki.records.terminal import NOTE, SCREEN_ROWS, STDERR, STDOUT, Line, Terminal

SGR = re.compile(r"\x1b\[[0-9;]*m")

# Pieces of output that terminals agree on; pyte shows half a wide character as none, so there is none here.
_PIECES = st.sampled_from(
    [
        *("a", "loss 0.12", "█▌", "é", " ", "\n", "\r", "\b", "\r\n", "\n\n"),
        *("\x1b[A", "\x1b[2A", "\x1b[B", "\x1b[C", "\x1b[3C", "\x1b[D", "\x1b[2D", "\x1b[G", "\x1b[4G"),
        *("\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[3;2H", "\x1b[H"),
        *("\x1b[31m", "\x1b[1;44m", "\x1b[0m", "\x1b[m", "\x1b[38;5;200m", "\x1b[39m", "\x1b[22m"),
        *("\x1b]0;title\x07", "\x1b]8;;http://a.b\x1b\\", "\x1b(B", "\x1b[?25l", "\x07"),
    ]
)
_OUTPUT = st.lists(_PIECES, max_size=40).map("".join)


def fed(*pieces: tuple[int, bytes], time_us: int = 1) -> Terminal:
    """A terminal after these writes: (stream, bytes)."""
    terminal = Terminal()
    for stream, data in pieces:
        terminal.feed(time_us, stream, data)
    return terminal


def shown(terminal: Terminal) -> list[str]:
    """All its lines as text with styles."""
    return [line.text for line in (*terminal.take(), *terminal.screen())]


def plain(terminal: Terminal) -> list[str]:
    """All its lines without styles, and without blanks at their ends."""
    return [SGR.sub("", text).rstrip() for text in shown(terminal)]


def by_pyte(output: str) -> list[str]:
    """What pyte's terminal shows."""
    screen = pyte.Screen(200, SCREEN_ROWS)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(output)
    rows = [row.rstrip() for row in screen.display]
    while rows and not rows[-1]:
        rows.pop()
    return rows


@given(_OUTPUT)
@settings(max_examples=120, deadline=None)
def test_shows_what_another_terminal_shows(output: str) -> None:
    lines = plain(fed((STDOUT, output.encode())))
    while lines and not lines[-1]:
        lines.pop()
    assert lines == by_pyte(output)


@given(_OUTPUT)
@settings(max_examples=100, deadline=None)
def test_styles_of_each_character_are_those_of_another_terminal(output: str) -> None:
    screen = pyte.Screen(200, SCREEN_ROWS)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(output)
    # Each line alone, on a terminal of its own: it needs nothing of the lines before it.
    for number, text in enumerate(shown(fed((STDOUT, output.encode())))):
        alone = pyte.Screen(200, 1)
        pyte.Stream(alone).feed(text)
        for column in range(60):
            expected, found = screen.buffer[number][column], alone.buffer[0][column]
            if expected.data.strip():
                assert (found.data, found.fg, found.bg, found.bold) == (
                    expected.data,
                    expected.fg,
                    expected.bg,
                    expected.bold,
                )


@given(
    st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=8) | _OUTPUT.map(str.encode)))
)
@settings(max_examples=100, deadline=None)
def test_cuts_between_writes_make_no_difference(writes: list[tuple[int, bytes]]) -> None:
    whole, cut = Terminal(), Terminal()
    for stream, data in writes:
        whole.feed(7, stream, data)
        for at in range(0, len(data), 3):
            cut.feed(7, stream, data[at : at + 3])
            cut = Terminal.from_bytes(cut.to_bytes())
    assert (whole.lines, whole.screen(), whole.cursor) == (cut.lines, cut.screen(), cut.cursor)
    assert not any(set(line.text) & set("\r\n\b\x07") for line in whole.screen())


_LINES = st.sampled_from(
    [
        *(b"plain\n", b"more", b"\n", b"\n", b"\xe3\x81\x82\n", b"\xff\n", b"\xe3", b"\x81\x82\n", b"a\nb\n"),
        *(b"part", b"\rbar", b"\x1b[31m", b"\x1b[0m", b"\x1b[3C", b"\x1b[A", b"", b"x" * 5000, b"y" * 3000),
    ]
)


@given(st.lists(st.tuples(st.integers(1, 99), st.sampled_from([0, STDOUT, STDERR, 9]), _LINES), max_size=60))
@settings(max_examples=300, deadline=None)
def test_many_writes_together_are_the_same_as_one_by_one(writes: list[tuple[int, int, bytes]]) -> None:
    single, together = Terminal(), Terminal()
    for write in writes:
        single.feed(*write)
    together.feed_all(writes)
    assert (single.take(), single.screen(), single.cursor) == (
        together.take(),
        together.screen(),
        together.cursor,
    )
    assert single.to_bytes() == together.to_bytes()


def test_long_output_scrolls_out_whole_and_in_order() -> None:
    output = "".join(f"line {n}\n" for n in range(1000)).encode()
    for step in (len(output), 64, 7):
        terminal = Terminal()
        for at in range(0, len(output), step):
            terminal.feed(at, STDOUT, output[at : at + step])
        final = terminal.take()
        assert len(final) == terminal.lines == 1001 - SCREEN_ROWS
        assert [line.text for line in (*final, *terminal.screen())] == [f"line {n}" for n in range(1000)]


def test_a_progress_bar_is_one_line_that_moves() -> None:
    terminal = Terminal()
    for percent in range(101):
        terminal.feed(percent, STDERR, f"\r{percent:3}%|{'█' * (percent // 10):10}|".encode())
    assert terminal.screen() == [Line(100, STDERR, "100%|██████████|")]
    terminal.feed(200, STDOUT, b"\ndone\n")
    assert terminal.screen()[1] == Line(200, STDOUT, "done")
    assert terminal.screen()[0].time_us == 100
    assert terminal.cursor == 2


def test_nested_bars_move_below_each_other() -> None:
    terminal = Terminal()
    for epoch in range(3):
        terminal.feed(0, STDERR, f"\repochs {epoch}/3".encode())
        for step in range(5):
            terminal.feed(0, STDERR, f"\n\rsteps {step}/5\x1b[A".encode())
        terminal.feed(0, STDERR, b"\n\r          \r\x1b[A")
    terminal.feed(0, STDERR, b"\repochs 3/3\n")
    assert plain(terminal) == ["epochs 3/3"]


def test_the_cursor_never_reaches_what_scrolled_out() -> None:
    terminal = fed((STDOUT, b"x\n" * 300 + b"\x1b[999Atop"))
    final = [line.text for line in terminal.take()]
    assert final == ["x"] * (301 - SCREEN_ROWS)
    assert [line.text for line in terminal.screen()][:2] == ["top", "x"]


def test_clearing_the_screen_keeps_what_it_showed() -> None:
    terminal = fed((STDOUT, b"first\nsecond\n\x1b[H\x1b[2J\x1b[3Jthird"))
    assert [line.text for line in terminal.take()] == ["first", "second"]
    assert [line.text for line in terminal.screen()] == ["third"]


def test_styles_carry_over_lines_so_that_each_stands_alone() -> None:
    assert shown(fed((STDOUT, b"\x1b[1;31mred\nstill\x1b[22m thin\x1b[0m\nplain\n"))) == [
        "\x1b[1;31mred\x1b[0m",
        "\x1b[1;31mstill\x1b[0;31m thin\x1b[0m",
        "plain",
    ]


@pytest.mark.parametrize("cut", [1, 2, 3, 1000])
def test_what_is_no_text_is_left_out_or_replaced(cut: int) -> None:
    data = (
        b"\x00a\xffb\xe3\x81\x82\x1b]0;"
        + b"t" * 50_000
        + b"\x07c\x1bPq#0;2;0\x1b\\d\x9b\xc2\x85e\x1b[38:2::1:2:3mf"
    )
    terminal = fed(*((STDOUT, data[at : at + cut]) for at in range(0, len(data), cut)))
    assert shown(terminal) == ["a\ufffdbあcd\ufffde\x1b[38;2;1;2;3mf\x1b[0m"]


def test_a_string_that_never_ends_swallows_no_log() -> None:
    terminal = fed((STDOUT, b"\x1b]0;"), *((STDOUT, b"x" * 65_535 + b"\n") for _ in range(20)))
    terminal.feed(1, STDOUT, b"\nhere\n")
    assert shown(terminal)[-1] == "here"


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"x" * 1000, b"\x1b[31mx\x1b[0m" * 1000])
def test_a_line_without_end_is_cut(piece: bytes) -> None:
    terminal = fed(*((STDOUT, piece) for _ in range(200)), (STDOUT, b"\nnext"))
    first, second = plain(terminal)
    assert (len(first), second) == (MAX_COLUMNS + len(CUT_MARK), "next")
    assert first.endswith(CUT_MARK)


def test_the_screen_holds_a_bounded_amount_of_text() -> None:
    terminal = Terminal()
    for number in range(300):
        terminal.feed(number, STDOUT, b"%d" % number + b"y" * 60_000 + b"\n")
    assert sum(len(line.text) for line in terminal.screen()) < 400_000
    assert len(terminal.take()) + len(terminal.screen()) == 300


def test_notes_stand_below_and_between_writes() -> None:
    terminal = fed((STDOUT, b"out"), (NOTE, b"console: 10 lines were left out"), (STDOUT, b"more\n"))
    assert [(line.stream, line.text) for line in terminal.screen()] == [
        (STDOUT, "out"),
        (NOTE, "console: 10 lines were left out"),
        (STDOUT, "more"),
    ]


def test_wide_characters_are_overwritten_by_columns() -> None:
    assert shown(fed((STDOUT, "あいう\rab".encode()))) == ["abいう"]
    assert shown(fed((STDOUT, "あいう\ra".encode()))) == ["a いう"]
    assert shown(fed((STDOUT, "abcdef\rあ".encode()))) == ["あcdef"]


def test_random_bytes_leave_clean_lines() -> None:
    random.seed(6)
    terminal = Terminal()
    for _ in range(300):
        terminal.feed(0, random.choice([STDOUT, STDERR]), random.randbytes(random.randrange(400)))
    for line in (*terminal.take(), *terminal.screen()):
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", SGR.sub("", line.text))


def test_a_cursor_that_is_sent_far_away_makes_no_long_line_of_nothing() -> None:
    terminal = fed((STDOUT, b"\x1b[65535Cx\n\x1b[999Gy\n" + b"z" * 600 + b"\r\x1b[650C!\n"))
    assert shown(terminal) == [" " * 512 + "x", " " * 512 + "y", "z" * 600 + "!"]


def test_rows_that_only_the_cursor_passed_are_blank_and_final_with_the_screen() -> None:
    terminal = fed((STDOUT, b"\x1b[3Bx\x1b[2J"), time_us=7)
    assert terminal.take() == [Line(7, STDOUT, text) for text in ("", "", "", "x")]

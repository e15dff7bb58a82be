"""Hooks on Python's own streams: attributes of the objects that are there, for whoever holds them.

A hook records and then calls what was there before. Buffers, encoding, `isatty` and `fileno` stay as they
are. Other code may put its own function over a hook; then the hook stays and, once removed, only passes on.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from kiseki.sdk.console.partial import PartialLine

STDOUT, STDERR = 1, 2

_SLICE = 16 * 1024  # characters of a text whose bytes surely fit into one record

Straight = dict[str, Callable[..., int]]
"""The methods of a raw file that write to the terminal past the channel."""

_RAW_METHODS = ("write", "seek", "tell")


class Recording(Protocol):
    """What a hook tells of what is written."""

    def record(self, stream: int, data: bytes) -> None: ...
    def straight_to_terminal(self, fd: int) -> Straight | None: ...
    def settle(self, fd: int) -> None: ...


class _Inside(threading.local):
    """Whether this thread is inside a write that is recorded."""

    text = False
    foreign = False


_inside = _Inside()


class Hooks:
    """The hooks on all streams of this process that reach the terminal, from `install` to `remove`."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._active = True
        self._patches: list[tuple[dict[str, Any], str, Any, Any]] = []
        self._proxies: list[tuple[str, StreamProxy, Any]] = []
        self._streams: list[Any] = []
        self._partials: list[Callable[[], None]] = []
        self._raws: list[dict[str, Any]] = []

    def install(self, *, everywhere: bool = True) -> None:
        """Hook what `print` and old references write to; else only `sys.stdout` and `sys.stderr`.

        Streams that are hooked already stay as they are.
        """
        names = ["stdout", "stderr", *(("__stdout__", "__stderr__") if everywhere else ())]
        for name in names:
            stream = getattr(sys, name, None)
            if stream is None or any(stream is other for other in self._streams):
                continue
            self._streams.append(stream)
            number = STDERR if "stderr" in name else STDOUT
            try:
                if isinstance(stream, io.TextIOWrapper) and type(stream).write is io.TextIOWrapper.write:
                    self._hook_text(stream, number)
                else:
                    self._hook_foreign(name, stream, number)
            except (AttributeError, ValueError):
                continue  # no stream, or one whose buffer was taken away

    @property
    def intact(self) -> bool:
        """Whether every hook is where it was installed."""
        return all(names.get(name) is function for names, name, function, _ in self._patches)

    def record_partials(self) -> None:
        """Record the lines that have begun."""
        for record_line in self._partials:
            record_line()

    def remove(self) -> None:
        """Take the hooks away where they are still on top; elsewhere they pass everything on."""
        self.record_partials()
        self._active = False
        for names, name, function, before in self._patches:
            if names.get(name) is function:
                if before is None:
                    del names[name]
                else:
                    names[name] = before
        for name, proxy, before in self._proxies:
            if getattr(sys, name, None) is proxy:
                setattr(sys, name, before)
        self._patches.clear()
        self._proxies.clear()
        self.forget_terminal()

    def forget_terminal(self) -> None:
        """Let no file write straight to the terminal any more; again once the descriptors are restored, for
        another thread may have been in the middle of a call.
        """
        for names in self._raws:
            _forget(names)

    def _patch(self, names: dict[str, Any], name: str, function: Any) -> None:
        self._patches.append((names, name, function, names.get(name)))
        names[name] = function

    def _hook_text(self, text: io.TextIOWrapper, number: int) -> None:
        """Hook a stream of Python's own making: text, the buffer below, and the file below that.

        What text writes into its buffer is recorded already; while it does, the buffer has no hook, so that
        Python's code is not entered from within C, where an exception of a signal handler would lose bytes.
        The file's `write` is set, before each call that may reach it, to go to the terminal past the channel.
        """
        recording, inside = self._recording, _inside
        buffer: Any = text.buffer
        raw: Any = getattr(buffer, "raw", buffer)
        text_names, buffer_names = vars(text), vars(buffer)
        fd = _standard_fd(raw)
        raw_names = vars(raw) if fd is not None else {}
        unbuffered = raw is buffer
        original_write: Any = text.write
        original_write_bytes: Any = buffer.write
        partial = PartialLine()
        hooked = self

        def record_line(rest: str = "") -> None:
            if line := partial.complete(rest):
                _record_text(recording, number, line, text.errors or "strict")

        def prepare() -> Straight | None:
            if fd is None:
                recording.settle(number)
                return None
            straight = recording.straight_to_terminal(fd) if hooked._active else None
            if not unbuffered:
                if straight is not None:
                    raw_names.update(straight)
                else:
                    _forget(raw_names)
            return straight

        def call(function: Any, straight: Straight | None, *arguments: Any) -> Any:
            before = inside.text
            inside.text = True
            try:
                if buffer_names.get("write") is write_bytes:
                    if unbuffered and straight is not None:
                        buffer_names.update(straight)
                    else:
                        del buffer_names["write"]
                        if unbuffered:
                            _forget(buffer_names)
                return function(*arguments)
            finally:
                # First of all, and without a call: an exception of a signal handler may end this block.
                inside.text = before
                if hooked._active and not before:
                    current = buffer_names.get("write")
                    if current is None or (straight is not None and current is straight["write"]):
                        buffer_names["write"] = write_bytes

        def write(data: Any) -> Any:
            if not hooked._active:
                return original_write(data)
            if type(data) is str and not text.write_through and not inside.foreign and partial.hold(data):
                return call(original_write, None, data)
            straight = prepare()
            if isinstance(data, str):
                record_line(data)
            return call(original_write, straight, data)

        def write_bytes(data: Any) -> Any:
            if not hooked._active:
                return original_write_bytes(data)
            straight = prepare()
            if not inside.text:
                record_line()
                _record_bytes(recording, number, data)
            if unbuffered and straight is not None:
                return straight["write"](data)
            return original_write_bytes(data)

        def flushing(original: Any) -> Any:
            def flush() -> Any:
                if not hooked._active or inside.text:
                    return original()
                straight = prepare()
                record_line()
                return call(original, straight)

            return flush

        if not unbuffered:
            self._patch(buffer_names, "flush", flushing(buffer.flush))
        self._patch(text_names, "flush", flushing(text.flush))
        self._patch(buffer_names, "write", write_bytes)
        self._patch(text_names, "write", write)
        self._partials.append(record_line)
        if fd is not None:
            self._raws.append(raw_names)

    def _hook_foreign(self, name: str, stream: Any, number: int) -> None:
        """Hook an object of somebody else's, such as a notebook's; what it writes to our streams in the same
        call is recorded once.
        """
        recording, inside = self._recording, _inside
        original_write: Any = stream.write
        original_flush: Any = getattr(stream, "flush", None)
        hooked = self

        def call(function: Any, *arguments: Any) -> Any:
            before = inside.foreign
            inside.foreign = True
            try:
                return function(*arguments)
            finally:
                inside.foreign = before

        def write(data: Any, *more: Any) -> Any:
            if not hooked._active or inside.foreign:
                return original_write(data, *more)
            recording.settle(number)
            if isinstance(data, str):
                _record_text(recording, number, data, "surrogateescape")
            elif isinstance(data, (bytes, bytearray)):
                _record_bytes(recording, number, data)
            return call(original_write, data, *more)

        def flush(*arguments: Any) -> Any:
            if not hooked._active:
                return original_flush(*arguments)
            recording.settle(number)
            return call(original_flush, *arguments)

        try:
            # Not `vars`: a stream that stands for another one may answer with that one's attributes.
            names = object.__getattribute__(stream, "__dict__")
        except AttributeError:
            proxy = StreamProxy(stream, write, flush if original_flush is not None else None)
            self._proxies.append((name, proxy, stream))
            self._streams.append(proxy)
            setattr(sys, name, proxy)
            return
        self._patch(names, "write", write)
        if original_flush is not None:
            self._patch(names, "flush", flush)


class StreamProxy:
    """Stands for a stream whose object takes no attributes."""

    def __init__(self, stream: Any, write: Any, flush: Any) -> None:
        self._stream = stream
        self.write = write
        if flush is not None:
            self.flush = flush

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)


def _forget(raw_names: dict[str, Any]) -> None:
    for name in _RAW_METHODS:
        raw_names.pop(name, None)


def _standard_fd(raw: Any) -> int | None:
    """1 or 2 where `raw` is Python's own file on that descriptor."""
    if not isinstance(raw, io.FileIO):
        return None
    try:
        fd = raw.fileno()
    except (OSError, ValueError):
        return None
    return fd if fd in (1, 2) else None


def _record_text(recording: Recording, stream: int, text: str, errors: str) -> None:
    if _inside.foreign:
        return
    for at in range(0, len(text), _SLICE):
        piece = text if len(text) <= _SLICE else text[at : at + _SLICE]
        try:
            data = piece.encode()
        except UnicodeEncodeError:
            data = _encode_surrogates(piece, errors)
        recording.record(stream, data)


def _encode_surrogates(text: str, errors: str) -> bytes:
    """The bytes of text with lone surrogates as its stream has them; `\\udXXX` where that takes none."""
    try:
        return text.encode("utf-8", errors)
    except (UnicodeEncodeError, LookupError):
        return text.encode("utf-8", "backslashreplace")


def _record_bytes(recording: Recording, stream: int, data: Any) -> None:
    if _inside.foreign:
        return
    try:
        view = memoryview(data).cast("B")
    except TypeError:
        return  # no bytes: the call itself will say so
    for at in range(0, len(view), 4 * _SLICE):
        recording.record(stream, bytes(view[at : at + 4 * _SLICE]))

"""The files of a run: what there is, and one of them, so that no content can ever act in the app's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import msgspec
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import Response, StreamingResponse

from kiseki import query as queries
from kiseki.query import FileContent, RunFiles
from kiseki.server.blobs import OCTETS
from kiseki.server.byte_ranges import asked_range, is_known
from kiseki.server.context import Context
from kiseki.server.endpoint import Call, endpoint
from kiseki.server.errors import ApiError
from kiseki.server.runs import RunPath

_POLICY: Final = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; font-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""An opaque origin without scripts, and nothing fetched from anywhere, however the file is opened."""

_INERT: Final = ("audio/", "image/", "text/", "video/")
_FRAMED: Final = frozenset({"text/html", "image/svg+xml"})
"""Documents that a page may show in a sandboxed frame."""

_ACTIVE: Final = ("script", "css", "xml", "xsl", "html")
"""What a page may run, be styled by or turn into another document has one of these in its type."""


class _FileConvertor(PathConvertor):
    """The rest of a path, whatever it holds: a file's name may have a line break in it."""

    regex = r"[\s\S]+"


register_url_convertor("file", _FileConvertor())


class FilePath(RunPath, frozen=True):
    """Which file of which run."""

    path: str


class FileQuery(msgspec.Struct, frozen=True):
    """`download=1`: to be saved. `inline=1`: HTML and SVG to be shown in a sandboxed frame."""

    download: int = 0
    inline: int = 0


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/files")
def list_files(context: Context, path: RunPath) -> RunFiles:
    """List a run's files by path, and the versions whose content is not here yet."""
    (run_pk,) = queries.run_keys(context.store, path.entity, path.project, [path.run_id])
    return queries.run_files(context.store, run_pk)


@endpoint("GET", "/runs/{entity}/{project}/{run_id}/files/{path:file}", media=OCTETS)
def get_file(context: Context, call: Call, path: FilePath, query: FileQuery) -> Response:
    """Return a file, whole or the part that `Range` names; its ETag is the SHA-256 of the whole."""
    (run_pk,) = queries.run_keys(context.store, path.entity, path.project, [path.run_id])
    content = queries.open_file(context.store, run_pk, path.path)
    try:
        return _respond(content, call, query)
    except BaseException:
        content.close()
        raise


def _respond(content: FileContent, call: Call, query: FileQuery) -> Response:
    file, headers = content.file, call.request.headers
    etag = f'"{file.digest}"'
    answer = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Content-Disposition": _disposition(file.path, file.media_type, query),
    }
    if is_known(headers, etag):
        content.close()
        return Response(status_code=304, headers=answer)
    try:
        part = asked_range(headers, file.size, etag)
    except ValueError as error:
        content.close()
        answer |= {"Content-Range": f"bytes */{file.size}", "Content-Type": "text/plain; charset=utf-8"}
        return Response(f"the file has no {error}", 416, answer)
    start, end = part or (0, file.size)
    answer |= {"Content-Length": str(end - start), "Content-Type": _content_type(file.media_type, query)}
    if part is not None:
        answer["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    status = 200 if part is None else 206
    if call.request.method == "HEAD":
        content.close()
        return Response(status_code=status, headers=answer)
    return StreamingResponse(_pieces(content, start, end), status, answer)


def _pieces(content: FileContent, start: int, end: int) -> Iterator[bytes]:
    try:
        return content.read(start, end)
    except FileNotFoundError:
        raise ApiError(
            404,
            f"the content of {content.file.path!r} is gone from this server's blob store; "
            "`kiseki sync` sends it again from where the run lies",
        ) from None


def _content_type(media_type: str, query: FileQuery) -> str:
    """The type to answer with: never one that a page of the app could run as a script or style."""
    if media_type in _FRAMED:
        return media_type if query.inline else OCTETS
    if any(word in media_type for word in _ACTIVE):
        return "text/plain; charset=utf-8"
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _disposition(path: str, media_type: str, query: FileQuery) -> str:
    """Shown where that is harmless, or asked for in a frame; else to be saved."""
    name = path.rpartition("/")[2]
    plain = "".join(sign if " " <= sign <= "~" and sign not in '"\\%' else "_" for sign in name)
    shown = bool(query.inline) if media_type in _FRAMED else media_type.startswith(_INERT)
    kind = "inline" if shown and not query.download else "attachment"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


ENDPOINTS = (list_files, get_file)

"""The web app: its page for every path of a page, its assets, and links whose token opens a session."""

from __future__ import annotations

import base64
import hashlib
import html
import mimetypes
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from kiseki.server.context import Context
from kiseki.server.errors import error_response
from kiseki.server.session import set_session_cookie

STATIC: Final = Path(__file__).parent / "static"
"""Where the built web app lies."""

_FOREVER: Final = "public, max-age=31536000, immutable"
_INLINE_SCRIPT: Final = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_BASE: Final = re.compile(rb"<base\b[^>]*>")
_NOT_BUILT: Final = (
    b"<!doctype html><html lang=en><head><meta charset=utf-8><title>Kiseki</title></head><body>"
    b"<p>The web app is not built: run <code>python hatch_build.py</code> in the checkout. "
    b"The API answers.</p></body></html>"
)


async def serve_page(context: Context, request: Request) -> Response:
    """Answer a GET outside the API: a file of the app, or its page."""
    if request.method not in ("GET", "HEAD"):
        return error_response(405, f"a page takes GET, not {request.method}")
    path: str = request.scope["path"]
    asset = _static_file(path)
    if asset is not None:
        return _asset(asset, request, forever=path.startswith("/assets/"))
    if path.startswith("/assets/"):
        return PlainTextResponse("not found", 404)
    if "token" in request.query_params:
        return await run_in_threadpool(_redeem, context, request)
    # Small files, read in place: the first page need not wait for a pool of threads.
    return _page(context)


def _redeem(context: Context, request: Request) -> Response:
    rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    # Relative to the server's root, whatever the path says: "//host" would lead elsewhere.
    path = context.settings.base_path + "/" + request.scope["path"].lstrip("/")
    response = RedirectResponse(path + ("?" + urlencode(rest) if rest else ""), 303)
    if context.auth.redeem_token(request.query_params["token"]):
        set_session_cookie(response, context.auth, context.settings, request)
    return response


def _static_file(path: str) -> Path | None:
    if path == "/" or path == "/index.html" or "\0" in path:
        return None
    candidate = (STATIC / path.lstrip("/")).resolve()
    if not candidate.is_relative_to(STATIC.resolve()) or any(
        part.startswith(".") for part in path.split("/")
    ):
        return None
    try:
        return candidate if candidate.is_file() else None
    except OSError:  # A name longer than any file's: a project may have one.
        return None


def _asset(path: Path, request: Request, *, forever: bool) -> Response:
    media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {"Cache-Control": _FOREVER if forever else "no-cache", "Vary": "Accept-Encoding"}
    packed = path.with_name(path.name + ".gz")
    if "gzip" in request.headers.get("accept-encoding", "") and packed.is_file():
        headers["Content-Encoding"] = "gzip"
        path = packed
    return Response(path.read_bytes(), headers=headers, media_type=media)


def _page(context: Context) -> Response:
    try:
        page = (STATIC / "index.html").read_bytes()
    except FileNotFoundError:
        page = _NOT_BUILT
    base = f'<head><base href="{html.escape(context.settings.base_path)}/">'.encode()
    page = _BASE.sub(b"", page).replace(b"<head>", base, 1)
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _content_security_policy(page)}
    return Response(page, headers=headers, media_type="text/html")


def _content_security_policy(page: bytes) -> str:
    digests = [hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page)]
    inline = "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self'{inline}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self'; frame-src 'self'; font-src 'self'; "
        "connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )

"""The shell of the app, its assets, and the headers that keep the browser careful."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from kiseki.server import pages


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(
        "<html><head><base href='/'><script>var a = 1</script></head><body>app</body></html>"
    )
    (folder / "assets/app-1a2b.js").write_text("export {}")
    (folder / "assets/app-1a2b.js.gz").write_bytes(gzip.compress(b"export {}"))
    (folder / ".built").write_text("stamp")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(pages, "STATIC", folder)
    return folder


@pytest.mark.parametrize(
    "path", ["/", "/ada/digits", "/ada/" + "long" * 500, "/ada/digits/runs/run1?tab=charts", "/index.html"]
)
def test_every_page_is_the_app(stranger: Any, static: Path, path: str) -> None:
    answer = stranger("GET", path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.count("<base") == 1
    assert '<base href="/">' in answer.text
    assert answer.headers["cache-control"] == "no-cache"


def test_page_allows_its_own_scripts_only(stranger: Any, static: Path) -> None:
    policy = stranger("GET", "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self' 'sha256-" in policy
    assert "frame-ancestors 'none'" in policy


def test_every_answer_carries_the_careful_headers(stranger: Any, static: Path) -> None:
    for path in ("/", "/assets/app-1a2b.js", "/api/v1/server", "/api/v1/projects"):
        headers = stranger("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == {
            "/": "no-cache",
            "/assets/app-1a2b.js": "public, max-age=31536000, immutable",
        }.get(path, "no-store")


def test_assets_come_packed_where_the_browser_unpacks(stranger: Any, static: Path) -> None:
    packed = stranger("GET", "/assets/app-1a2b.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = stranger("GET", "/assets/app-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text == "export {}"
    assert "javascript" in plain.headers["content-type"]


@pytest.mark.parametrize("path", ["/assets/none.js", "/assets/%2e%2e/%2e%2e/secret.txt", "/assets/"])
def test_unknown_assets_are_404(stranger: Any, static: Path, path: str) -> None:
    assert stranger("GET", path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/.built", "//etc/passwd"]
)
def test_no_path_leads_out_of_the_app(stranger: Any, static: Path, path: str) -> None:
    answer = stranger("GET", f"http://127.0.0.1:7117{path}")
    assert answer.text.startswith("<html>")


def test_missing_build_says_how_to_build(
    stranger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "STATIC", tmp_path / "nothing")
    answer = stranger("GET", "/")
    assert answer.status_code == 200
    assert "hatch_build.py" in answer.text


def test_unknown_api_path_is_json_404(user: Any) -> None:
    answer = user("GET", "/api/v1/nothing")
    assert answer.status_code == 404
    assert "openapi.json" in answer.json()["error"]


def test_page_takes_no_post(user: Any) -> None:
    assert user("POST", "/ada/digits").status_code == 405

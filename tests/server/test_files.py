"""Files of runs over HTTP: uploaded in pieces, listed, and served so that no content can act."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.conftest import Asker
from tests.server.recorded import START_NS, RunFile, record_run

from kiseki.app import Instance
from kiseki.records.kinds import File, Header
from kiseki.records.writer import RecordWriter

RUN = "/api/v1/runs/ada/digits/run1"
NAMES = [
    "plain.txt",
    "a folder/with space.txt",
    "日本語/ファイル.txt",
    "100%.txt",
    "what#is?this&that=1.txt",
    "line\nbreak.txt",
    "semi;colon+plus.txt",
    "..hidden/...txt",
    "back\\slash.txt",
    "%2e%2e%2fnot",
    "a\\udc80b.bin",
]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_record(path: str, data: bytes | None, t: int = 0, mtime_ns: int = START_NS) -> File:
    if data is None:
        return File(t, path, None)
    return File(t, path, sha(data), len(data), mtime_ns)


def record_files(folder: Path, run: RunFile, records: Iterable[File], start_ns: int = START_NS) -> RunFile:
    """The file of the run's sidecar, with these records."""
    writer = "w" + secrets.token_hex(8)[:15]
    header = Header(
        run_uid=run.uid,
        entity="ada",
        project="digits",
        run_id="run1",
        writer=writer,
        role="sidecar",
        lane=writer,
        primary=False,
        wall_ns=start_ns,
    )
    file = RecordWriter.create(folder / f"{writer}.kiseki", header)
    for record in records:
        file.append(record)
    file.close()
    return RunFile(run.uid, writer, folder / f"{writer}.kiseki")


def put(ask: Asker, data: bytes, digest: str | None = None) -> Any:
    return ask("PUT", f"/api/v1/blobs/{digest or sha(data)}?offset=0&size={len(data)}", content=data)


@pytest.fixture
def with_files(user: Asker, tmp_path: Path) -> Callable[..., None]:
    """`with_files({path: content})`: a run that has these files, uploaded."""

    def make(contents: dict[str, bytes]) -> None:
        run = record_run(tmp_path / "run", rows=[(0, {"loss": 1.0})])
        records = [file_record(path, data, number) for number, (path, data) in enumerate(contents.items())]
        user.send(run, record_files(tmp_path / "run", run, records))
        for data in contents.values():
            assert put(user, data).status_code == 200

    return make


def listed(ask: Asker) -> dict[str, int]:
    return {one["path"]: one["size"] for one in ask.get(f"{RUN}/files")["files"]}


def test_a_content_is_taken_in_pieces_and_shown_with_the_last(user: Asker, tmp_path: Path) -> None:
    run = record_run(tmp_path / "run")
    data = secrets.token_bytes(100_000)
    user.send(run, record_files(tmp_path / "run", run, [file_record("model.bin", data)]))
    assert user.get(f"{RUN}/files") == {"files": [], "pending": [{"path": "model.bin", "size": 100_000}]}
    waiting = user("GET", f"{RUN}/files/model.bin")
    assert waiting.status_code == 404
    assert "not here" in waiting.json()["error"]
    blob = f"/api/v1/blobs/{sha(data)}"
    assert user.get(blob) == {"present": False, "have": 0}
    first = user("PUT", f"{blob}?offset=0&size=100000", content=data[:60_000])
    assert first.json() == {"present": False, "have": 60_000}
    early = user("PUT", f"{blob}?offset=0&size=100000", content=data[:60_000])
    assert early.status_code == 409
    assert early.json()["have"] == 60_000
    assert listed(user) == {}
    before = user.get(RUN)["at"]
    last = user("PUT", f"{blob}?offset=60000&size=100000", content=data[60_000:])
    assert last.json() == {"present": True, "have": 100_000}
    assert user.get(blob) == {"present": True, "have": 100_000}
    assert user.get(RUN)["at"] > before
    (file,) = user.get(f"{RUN}/files")["files"]
    assert file == {
        "path": "model.bin",
        "size": 100_000,
        "digest": sha(data),
        "updated": START_NS / 1e9,
        "media_type": "application/octet-stream",
    }
    assert user("GET", f"{RUN}/files/model.bin").content == data


def test_a_wrong_digest_is_thrown_away_in_words(user: Asker) -> None:
    answer = put(user, b"one", sha(b"two"))
    assert answer.status_code == 422
    assert "SHA-256" in answer.json()["error"]
    assert user.get(f"/api/v1/blobs/{sha(b'two')}") == {"present": False, "have": 0}


def test_a_piece_is_bounded_and_a_digest_is_one(user: Asker, stranger: Asker) -> None:
    digest = sha(b"")
    large = user("PUT", f"/api/v1/blobs/{digest}?offset=0&size=9000000", content=b"x" * (8 * 2**20 + 1))
    assert large.status_code == 413
    for odd in ("..%2f..%2fetc", digest.upper(), digest[:-1]):
        assert user("GET", f"/api/v1/blobs/{odd}").status_code in (400, 404)
    assert user("PUT", f"/api/v1/blobs/{digest}?offset=-1&size=0").status_code == 400
    for method in ("GET", "PUT"):
        assert stranger(method, f"/api/v1/blobs/{digest}?offset=0&size=0").status_code == 401
    assert stranger("GET", f"{RUN}/files").status_code == 401
    assert stranger("GET", f"{RUN}/files/a.txt").status_code == 401


def test_a_full_disk_is_507(make_instance: Callable[..., Instance], ask_app: type[Asker], key: str) -> None:
    instance = make_instance()
    user = ask_app(instance.asgi, {"Authorization": f"Bearer {key}"})
    answer = user("PUT", f"/api/v1/blobs/{sha(b'x')}?offset=0&size={2**60}", content=b"x")
    assert answer.status_code == 507
    assert "make room" in answer.json()["error"]


def test_names_of_every_kind_arrive(user: Asker, with_files: Callable[..., None]) -> None:
    with_files({name: name.encode("utf-8", "surrogatepass") for name in NAMES})
    assert set(listed(user)) == set(NAMES)
    for name in NAMES:
        answer = user("GET", f"{RUN}/files/{quote(name, safe='')}")
        assert answer.status_code == 200, name
        assert answer.content == name.encode("utf-8", "surrogatepass")
        disposition = answer.headers["content-disposition"]
        assert "\n" not in disposition
        assert f"filename*=UTF-8''{quote(name.rpartition('/')[2], safe='')}" in disposition


def test_names_that_lead_elsewhere_are_no_files(user: Asker, tmp_path: Path) -> None:
    data = b"secret"
    run = record_run(tmp_path / "run")
    names = ["../up.txt", "/etc/passwd", "a/../../b", "a//b", ".", "", "a/./b", "nul\0.txt", "x" * 5000]
    records = [file_record(name, data, number) for number, name in enumerate(names)]
    records += [File(90, "odd", "no digest", 1, 0), File(91, "negative", sha(data), -1, 0)]
    user.send(run, record_files(tmp_path / "run", run, [*records, file_record("good.txt", data, 99)]))
    put(user, data)
    assert listed(user) == {"good.txt": 6}
    for path in ("%2e%2e/run1", "..%2f..%2fstore.db", "%00", "", "good.txt/", "good.txt%00.png", "%ff"):
        assert user("GET", f"{RUN}/files/{path}").status_code in (400, 404), path


def test_the_newest_version_is_shown_and_a_removal_hides_it(user: Asker, tmp_path: Path) -> None:
    run = record_run(tmp_path / "run")
    old, new = b"old", b"newer"
    later = START_NS + 10 * 10**9
    user.send(run, record_files(tmp_path / "run", run, [file_record("a.txt", new)], start_ns=later))
    # An older record that arrives late changes nothing.
    user.send(record_files(tmp_path / "run", run, [file_record("a.txt", old)]))
    put(user, old)
    answer = user.get(f"{RUN}/files")
    assert [file["size"] for file in answer["files"]] == [3]
    assert answer["pending"] == [{"path": "a.txt", "size": 5}]
    put(user, new)
    assert user.get(f"{RUN}/files")["pending"] == []
    assert user("GET", f"{RUN}/files/a.txt").content == new
    gone = record_files(tmp_path / "run", run, [file_record("a.txt", None)], start_ns=later + 10**9)
    user.send(gone)
    assert user.get(f"{RUN}/files") == {"files": [], "pending": []}
    missing = user("GET", f"{RUN}/files/a.txt")
    assert (missing.status_code, missing.json()["error"]) == (404, "this run has no file 'a.txt'")


def test_a_part_of_a_file(user: Asker, with_files: Callable[..., None]) -> None:
    data = bytes(range(200))
    with_files({"a.bin": data, "empty.txt": b""})

    def ask(range_: str, **headers: str) -> Any:
        return user("GET", f"{RUN}/files/a.bin", headers={"Range": range_, **headers})

    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=190-", 190, 200),
        ("bytes=190-900", 190, 200),
        ("bytes=-7", 193, 200),
        ("bytes=-900", 0, 200),
    ):
        answer = ask(asked)
        assert (answer.status_code, answer.content) == (206, data[start:end]), asked
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/200"
        assert answer.headers["content-length"] == str(end - start)
    for odd in ("bytes=0-1,5-6", "bytes=5-1", "lines=0-1", "bytes=-", "bytes=a-b", "bytes=" + "9" * 40 + "-"):
        assert (ask(odd).status_code, ask(odd).content) == (200, data), odd
    for outside in ("bytes=200-", "bytes=500-600", "bytes=-0"):
        answer = ask(outside)
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */200"), outside
    assert user("GET", f"{RUN}/files/empty.txt", headers={"Range": "bytes=0-"}).status_code == 416
    etag = f'"{sha(data)}"'
    assert ask("bytes=0-1", **{"If-Range": etag}).status_code == 206
    assert ask("bytes=0-1", **{"If-Range": '"another"'}).status_code == 200


def test_head_and_known_contents_have_no_body(user: Asker, with_files: Callable[..., None]) -> None:
    data = b"a line\n"
    with_files({"notes.md": data})
    head = user("HEAD", f"{RUN}/files/notes.md")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "7")
    etag = f'"{sha(data)}"'
    assert head.headers["etag"] == etag
    assert head.headers["content-type"] == "text/markdown; charset=utf-8"
    known = user("GET", f"{RUN}/files/notes.md", headers={"If-None-Match": f'"x", W/{etag}'})
    assert (known.status_code, known.content) == (304, b"")
    assert user("GET", f"{RUN}/files/notes.md", headers={"If-None-Match": '"x"'}).content == data


@pytest.mark.parametrize(
    ("name", "shown", "media_type"),
    [
        ("page.html", False, "application/octet-stream"),
        ("page.htm?inline", True, "text/html"),
        ("page.svg", False, "application/octet-stream"),
        ("page.svg?inline", True, "image/svg+xml"),
        ("page.xhtml", False, "application/octet-stream"),
        ("page.xsl?inline", False, "text/plain; charset=utf-8"),
        ("page.xml", True, "text/plain; charset=utf-8"),
        ("page.js", True, "text/plain; charset=utf-8"),
        ("page.mjs", True, "text/plain; charset=utf-8"),
        ("page.css", True, "text/plain; charset=utf-8"),
        ("page.pdf", False, "application/pdf"),
        ("page.pdf?inline", False, "application/pdf"),
        ("page.png", True, "image/png"),
        ("page.txt", True, "text/plain; charset=utf-8"),
        ("page.txt?download", False, "text/plain; charset=utf-8"),
        ("page.ts", True, "text/plain; charset=utf-8"),
        ("page.wasm", False, "application/wasm"),
        ("page", False, "application/octet-stream"),
        ("PAGE.HTML", False, "application/octet-stream"),
        ("page.html.gz", False, "application/octet-stream"),
    ],
)
def test_no_content_can_act_in_the_apps_name(
    user: Asker, with_files: Callable[..., None], name: str, shown: bool, media_type: str
) -> None:
    name, _, flag = name.partition("?")
    with_files({name: b"<script>alert(1)</script>"})
    answer = user("GET", f"{RUN}/files/{name}" + (f"?{flag}=1" if flag else ""))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"].startswith("inline" if shown else "attachment")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-" not in policy
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_content_that_the_blob_store_lost_is_said(
    user: Asker, with_files: Callable[..., None], instance: Instance
) -> None:
    with_files({"a.txt": b"abc"})
    folder = instance.store.path.parent / "blobs"
    (folder / sha(b"abc")[:2] / sha(b"abc")).unlink()
    answer = user("GET", f"{RUN}/files/a.txt")
    assert answer.status_code == 404
    assert "kiseki sync" in answer.json()["error"]
    # It is asked for again, and there again.
    assert user.get(f"/api/v1/blobs/{sha(b'abc')}") == {"present": False, "have": 0}
    put(user, b"abc")
    assert user("GET", f"{RUN}/files/a.txt").content == b"abc"


def test_a_blob_whose_note_was_cut_short_is_shown_when_it_is_asked_for(
    user: Asker, tmp_path: Path, instance: Instance
) -> None:
    run = record_run(tmp_path / "run")
    user.send(run, record_files(tmp_path / "run", run, [file_record("a.txt", b"abc")]))
    instance.store.blobs.append(sha(b"abc"), 0, b"abc", 3)
    assert listed(user) == {}
    assert user.get(f"/api/v1/blobs/{sha(b'abc')}") == {"present": True, "have": 3}
    assert listed(user) == {"a.txt": 3}

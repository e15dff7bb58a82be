"""Who may ask: hosts, origins, keys, sessions, links; and that nothing leaks to anyone else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kiseki.app import Instance
from kiseki.server.application import ENDPOINTS
from kiseki.server.auth import link_token

PUBLIC = {("GET", "/api/v1/server"), ("POST", "/api/v1/session")}
HIDDEN = [
    (each.method, each.full_path.replace("{id}", "1").replace("{", "").replace("}", ""))
    for each in ENDPOINTS
    if (each.method, each.full_path) not in PUBLIC
]


@pytest.mark.parametrize(("method", "path"), [*HIDDEN, ("GET", "/api/v1/unknown"), ("GET", "/api")])
def test_without_a_key_everything_but_two_endpoints_is_401(stranger: Any, method: str, path: str) -> None:
    answer = stranger(
        method, path, content=b"\x82\xa8protocol\x01\xa5parts\x90" if "append" in path else b"{}"
    )
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(("method", "path"), HIDDEN)
def test_a_wrong_key_is_no_key(stranger: Any, method: str, path: str) -> None:
    headers = {"Authorization": "Bearer kk_" + "0" * 40}
    content = b"\x82\xa8protocol\x01\xa5parts\x90"
    assert stranger(method, path, headers=headers, content=content).status_code == 401


def test_server_tells_a_stranger_only_what_it_is(stranger: Any, user: Any, instance: Instance) -> None:
    known = stranger.get("/api/v1/server")
    assert known.pop("version")
    assert known == {
        "server_id": instance.store.server_id,
        "protocol": [1, 1],
        "authenticated": False,
        "local": False,
        "store": None,
    }
    assert user.get("/api/v1/server")["authenticated"] is True


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "127.0.0.1:5000", "[::1]:7117", "LOCALHOST"])
def test_loopback_hosts_on_any_port_are_answered(stranger: Any, host: str) -> None:
    assert stranger("GET", "/api/v1/server", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:7117", "10.0.0.1"]
)
def test_foreign_hosts_are_refused(user: Any, host: str) -> None:
    answer = user("GET", "/api/v1/projects", headers={"Host": host})
    assert answer.status_code == 403
    assert "--allowed-host" in answer.json()["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:7118", "http://localhost:7117", ""]
)
def test_foreign_origins_are_refused(user: Any, origin: str) -> None:
    assert user("GET", "/api/v1/projects", headers={"Origin": origin}).status_code == 403


def test_own_origin_is_answered_behind_tls_too(user: Any) -> None:
    for origin in ("http://127.0.0.1:7117", "https://127.0.0.1:7117"):
        assert user("GET", "/api/v1/projects", headers={"Origin": origin}).status_code == 200


def test_allowed_host_is_answered(make_instance: Callable[..., Instance], ask_app: Any) -> None:
    ask = ask_app(make_instance(allowed_hosts=["Kiseki.Lab"]).asgi)
    assert ask("GET", "/api/v1/server", headers={"Host": "kiseki.lab:8080"}).status_code == 200
    assert ask("GET", "/api/v1/server", headers={"Host": "other.lab"}).status_code == 403


def test_key_becomes_a_cookie_that_only_http_sees(stranger: Any, instance: Instance, key: str) -> None:
    answer = stranger("POST", "/api/v1/session", json={"key": f" {key}\n"})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"kiseki_{instance.store.server_id}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.get("/api/v1/projects") == {"projects": []}


def test_logging_out_ends_the_session_for_good(stranger: Any, key: str) -> None:
    stranger("POST", "/api/v1/session", json={"key": key})
    cookies = dict(stranger.cookies)
    assert stranger("DELETE", "/api/v1/session").status_code == 204
    stranger.cookies.update(cookies)
    assert stranger("GET", "/api/v1/projects").status_code == 401


def test_wrong_key_opens_no_session(stranger: Any) -> None:
    answer = stranger("POST", "/api/v1/session", json={"key": "kk_wrong"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_session_outlives_the_server(make_instance: Callable[..., Instance], ask_app: Any, key: str) -> None:
    first = make_instance()
    browser = ask_app(first.asgi)
    browser("POST", "/api/v1/session", json={"key": key})
    cookies = browser.cookies
    first.close()
    again = ask_app(make_instance(local_key=None).asgi)
    again.cookies = cookies
    assert again.get("/api/v1/projects") == {"projects": []}


def test_single_link_opens_one_session_once(instance: Instance, ask_app: Any) -> None:
    token = instance.auth.issue_token()
    first, second = ask_app(instance.asgi), ask_app(instance.asgi)
    answer = first("GET", "/ada/digits", params={"tab": "charts", "token": token})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/ada/digits?tab=charts"
    assert first.get("/api/v1/projects") == {"projects": []}
    late = second("GET", "/", params={"token": token})
    assert (late.status_code, late.headers["location"]) == (303, "/")
    assert second("GET", "/api/v1/projects").status_code == 401


def test_own_link_opens_a_session_each_time(instance: Instance, ask_app: Any, key: str) -> None:
    for _ in range(2):
        browser = ask_app(instance.asgi)
        browser("GET", "/", params={"token": link_token(key)})
        assert browser.get("/api/v1/projects") == {"projects": []}


def test_link_never_leads_to_another_site(stranger: Any) -> None:
    answer = stranger("GET", "http://127.0.0.1:7117//evil.example/?token=x")
    assert answer.headers["location"] == "/evil.example/"


def test_keys_are_shown_once_listed_and_revoked(user: Any, instance: Instance, ask_app: Any) -> None:
    made = user("POST", "/api/v1/keys", json={"name": "cluster"})
    assert made.status_code == 201
    created = made.json()
    script = ask_app(instance.asgi, {"Authorization": f"Bearer {created['key']}"})
    assert script.get("/api/v1/projects") == {"projects": []}
    listed = user("GET", "/api/v1/keys")
    assert created["key"] not in listed.text
    (only,) = listed.json()["keys"]
    assert (only["id"], only["name"], only["revoked"]) == (created["id"], "cluster", None)
    assert user("DELETE", f"/api/v1/keys/{created['id']}").status_code == 204
    assert script("GET", "/api/v1/projects").status_code == 401
    assert user.get("/api/v1/keys")["keys"][0]["revoked"] is not None


def test_use_of_a_key_is_noted(user: Any, instance: Instance, ask_app: Any, wait_until: Any) -> None:
    created = user("POST", "/api/v1/keys", json={"name": "cluster"}).json()
    ask_app(instance.asgi, {"Authorization": f"Bearer {created['key']}"}).get("/api/v1/projects")
    wait_until(lambda: user.get("/api/v1/keys")["keys"][0]["used"])


def test_revoking_an_unknown_key_is_404(user: Any) -> None:
    assert user("DELETE", "/api/v1/keys/77").status_code == 404
    assert user("DELETE", f"/api/v1/keys/{10**30}").status_code == 400


def test_key_needs_a_name(user: Any) -> None:
    answer = user("POST", "/api/v1/keys", json={"name": ""})
    assert answer.status_code == 400
    assert "name" in answer.json()["error"]


def test_base_path_is_served_with_and_without_its_prefix(
    make_instance: Callable[..., Instance], ask_app: Any, key: str
) -> None:
    instance = make_instance(base_path="lab/")
    ask = ask_app(instance.asgi, {"Authorization": f"Bearer {key}"})
    for path in ("/lab/api/v1/projects", "/api/v1/projects"):
        assert ask.get(path) == {"projects": []}
    assert '<base href="/lab/">' in ask("GET", "/lab").text
    moved = ask("GET", "/lab/ada", params={"token": link_token(key)})
    assert moved.headers["location"] == "/lab/ada"
    assert "path=/lab" in moved.headers["set-cookie"].lower()
    assert not parse_qs(urlsplit(moved.headers["location"]).query)

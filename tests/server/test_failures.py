"""What a failing store does to a request: a status and one line, and nothing of the inside."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from kiseki.app import Instance
from kiseki.store import StoreBusy, StoreFull


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (StoreFull("the disk is almost full: make room"), 507),
        (StoreBusy("1024 writes wait already; try again in a moment"), 503),
        (OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full")), 507),
        (OperationalError("INSERT", {}, sqlite3.OperationalError("secret detail")), 500),
    ],
)
def test_fault_of_the_store_is_one_line(
    user: Any, instance: Instance, monkeypatch: pytest.MonkeyPatch, fault: Exception, status: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    with monkeypatch.context() as faulty:
        faulty.setattr(instance.store, "write", fail)
        answer = user("POST", "/api/v1/keys", json={"name": "cluster"})
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]
    assert "secret" not in answer.text
    assert "INSERT" not in answer.text


def test_closed_store_answers_503(instance: Instance, ask_app: Any) -> None:
    instance.close()
    stranger = ask_app(instance.asgi, {"Authorization": "Bearer kk_" + "0" * 40})
    assert stranger("GET", "/api/v1/projects").status_code == 503


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": 3}', b"\xff"])
def test_body_that_does_not_fit_is_400(user: Any, body: bytes) -> None:
    answer = user("POST", "/api/v1/keys", content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}

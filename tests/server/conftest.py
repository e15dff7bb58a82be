"""An instance whose app is asked in this process, as a stranger or as its user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.recorded import APPEND_HEADERS, RunFile, answers, append_body

from kiseki.app import Instance, create_instance
from kiseki.server.auth import new_key

BASE = "http://127.0.0.1:7117"


class Asker:
    """Asks an ASGI app like an HTTP client; keeps cookies."""

    def __init__(self, app: Any, headers: dict[str, str] | None = None) -> None:
        self._app = app
        self._headers = headers or {}
        self.cookies = httpx.Cookies()

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url=BASE, cookies=self.cookies) as client:
                headers = {**self._headers, **options.pop("headers", {})}
                answer = await client.request(method, path, headers=headers, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> Any:
        """The JSON answer of a GET that must succeed."""
        answer = self("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, *files: RunFile) -> None:
        """Append whole run files, which must be taken."""
        answer = self("POST", "/api/v1/append", content=append_body(files), headers=APPEND_HEADERS)
        assert answer.status_code == 200, answer.text
        assert [one.status for one in answers(answer.content)] == [200] * len(files)


@pytest.fixture
def key() -> str:
    return new_key()


@pytest.fixture
def make_instance(tmp_path: Path, key: str) -> Iterator[Callable[..., Instance]]:
    made: list[Instance] = []

    def make(**options: Any) -> Instance:
        url = f"sqlite:///{tmp_path / 'store' / 'store.db'}"
        instance = create_instance(url, **{"local_roots": False, "local_key": key, **options})
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.close()


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance()


@pytest.fixture
def stranger(instance: Instance) -> Asker:
    """Asks without a credential."""
    return Asker(instance.asgi)


@pytest.fixture
def user(instance: Instance, key: str) -> Asker:
    """Asks with the user's own key."""
    return Asker(instance.asgi, {"Authorization": f"Bearer {key}"})


@pytest.fixture
def ask_app() -> type[Asker]:
    return Asker

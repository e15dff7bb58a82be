"""Story: a project says what its runs may record; the next run obeys from its start, a running one too."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright
from tests.journeys.browser import CHROMIUM
from tests.journeys.world import Home, Server, await_true
from tests.web.stage import launch

from kiseki.records.directory import read_run

_TALKING = """
import json, sys
import kiseki
run = kiseki.init(project="quiet", **json.loads(sys.argv[1]))
for line in sys.stdin:
    print(line.strip(), flush=True)
    run.log({"lines": 1.0})
    print("said", file=sys.stderr, flush=True)
run.finish()
"""


class _Talker:
    """A training that prints what it is told, from a committed script in a git repository."""

    def __init__(self, home: Home, folder: Path, **init: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "talk.py", json.dumps(init)], cwd=folder, env=home.env, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def say(self, word: str) -> None:
        """Have it printed before this returns."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.write(word + "\n")
        while (line := self.process.stderr.readline()) != "said\n":
            assert line, "the training ended early"

    def finish(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


@contextmanager
def _talking(home: Home, folder: Path, **init: Any) -> Iterator[_Talker]:
    talker = _Talker(home, folder, **init)
    try:
        yield talker
        talker.finish()
    finally:
        talker.process.kill()
        talker.process.wait()


def _choose(server: Server, entity: str, **choices: Any) -> None:
    request = urllib.request.Request(
        f"{server.url}/api/v1/projects/{entity}/quiet/settings",
        data=json.dumps(choices).encode(),
        headers={"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=20).close()


def _environment(server: Server, run_id: str) -> dict[str, Any]:
    run = server.run(run_id)
    return {} if run is None else run["environment"]


def _printed(server: Server, run_id: str) -> str:
    run = server.run(run_id)
    assert run is not None
    return server.request(f"/api/v1/runs/{run['entity']}/quiet/{run_id}/console/text").decode()


@pytest.fixture
def repository(laptop: Home) -> Path:
    """A git repository with the script in its only commit."""
    folder = laptop.work / "repository"
    folder.mkdir()
    (folder / "talk.py").write_text(_TALKING)
    author = ["-c", "user.name=mei", "-c", "user.email=mei@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "talk"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env=laptop.env)
    return folder


@pytest.mark.browser
def test_a_projects_choices_are_obeyed_and_inits_are_stronger(
    laptop: Home, cloud: Home, repository: Path
) -> None:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}: sudo apt-get install -y chromium")
    server = cloud.server()
    laptop.uploads_to(server)
    laptop.env["KISEKI_ENTITY"] = "mei"
    _choose(server, "mei", console=False, git=False, system_interval=1)

    with _talking(laptop, repository, id="first") as talker:  # This machine hears of the choices with it.
        await_true(lambda: "recording" in _environment(server, "first"), what="what applies to the first run")
        talker.say("bye")

    with _talking(laptop, repository, id="next") as talker:
        talker.say("from the start")
        await_true(lambda: "code_file" in _environment(server, "next"), what="the script of the next run")
        assert "git" not in _environment(server, "next")
        system = "/api/v1/runs/mei/quiet/next/system"
        await_true(
            lambda: any(m["count"] >= 3 for m in json.loads(server.request(system))["metrics"]),
            what="three measurements, one a second",
        )
        assert _environment(server, "next")["recording"]["system_interval"] == {
            "value": 1.0,
            "source": "project",
        }

        _choose(server, "mei", console=None)

        def heard() -> bool:
            talker.say("allowed by now")
            return "allowed by now" in _printed(server, "next")

        await_true(heard, what="the running training to record its output")
    assert "from the start" not in _printed(server, "next")

    wishes = {"console": "wrap", "disable_git": False, "x_disable_stats": True}
    _choose(server, "mei", console=False)
    with _talking(laptop, repository, id="own", save_code=False, settings=wishes) as talker:
        talker.say("of its own will")
        await_true(lambda: _environment(server, "own").get("git", {}).get("commit"), what="the commit")
    assert "of its own will" in _printed(server, "own")
    assert "code_file" not in _environment(server, "own")

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(locale="en-US")
        answer = page.context.request.post(f"{server.url}/api/v1/session", data={"key": server.key})
        assert answer.status == 204
        for run_id, lines in {
            "next": [
                "On · by default",
                "Off · from the project's settings",
                "every 1 s · from the project's settings",
            ],
            "own": ["Off · from init", "On · from settings=", "Off · from settings="],
        }.items():
            page.goto(f"{server.url}/mei/quiet/runs/{run_id}")
            shown = page.locator("section").filter(has=page.get_by_role("heading", name="Recording settings"))
            for line in lines:
                expect(shown).to_contain_text(line)
        browser.close()


def test_runs_without_a_server_obey_what_the_users_own_says_also_while_it_is_down(laptop: Home) -> None:
    server = laptop.server()
    _choose(server, "mei", console=False, requirements=False)
    kept = laptop.folder / "data/kiseki/policies/local.json"
    server.kill()
    kept.unlink()
    server.start()  # It says again what applies here.
    await_true(kept.exists, what="the policy of the user's own server")
    server.stop()
    script = "run = kiseki.init(entity='mei', project='quiet', id='r1'); print('hu' + 'sh'); run.finish()"
    assert laptop.python(f"import kiseki; {script}").stdout == "hush\n"
    assert b"hush" not in b"".join(path.read_bytes() for path in laptop.run_folder("r1").glob("*.kiseki"))

    def told() -> Any:
        return read_run(laptop.run_folder("r1")).fold.environment.get("recording")

    choices = await_true(told, what="what applied, in the run's own directory")
    assert choices["console"] == {"value": False, "source": "project"}
    assert choices["requirements"] == {"value": False, "source": "project"}
    assert choices["git"] == {"value": True, "source": "default"}

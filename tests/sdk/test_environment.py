import pytest

from kiseki.sdk.environment import describe_environment, mask_command


@pytest.mark.parametrize(
    ("given", "masked"),
    [
        (["t.py", "--api-key", "abc", "--lr", "1"], ["t.py", "--api-key", "***", "--lr", "1"]),
        (["--api_key=abc", "--token=x", "-p=1"], ["--api_key=***", "--token=***", "-p=1"]),
        (["db.password=hunter2", "WANDB_API_KEY=1"], ["db.password=***", "WANDB_API_KEY=***"]),
        (["--secret", "--verbose"], ["--secret", "***"]),
        (["--tokenizer=bert", "--monkey=1", "--keys=4"], ["--tokenizer=bert", "--monkey=1", "--keys=4"]),
        (["https://mei:pw@example.org/x"], ["https://***@example.org/x"]),
        (["kk_" + "0" * 40, "hf_" + "a" * 30], ["***", "***"]),
        (["--num-tokens", "5", "--key"], ["--num-tokens", "5", "--key"]),
    ],
)
def test_what_looks_like_a_secret_is_masked(given: list[str], masked: list[str]) -> None:
    assert mask_command(given) == masked


def test_environment_names_machine_and_python() -> None:
    found = describe_environment()
    assert {"host", "os", "python", "executable", "command", "program", "cwd", "cpu_count", "sdk"} <= set(
        found
    )
    assert all(found[name] for name in ("host", "os", "python", "executable", "command", "cwd", "sdk"))

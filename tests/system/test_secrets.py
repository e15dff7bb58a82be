"""Nasty command lines: what is a secret is masked, what is none stays as it was typed."""

from __future__ import annotations

import shlex
import time

import pytest

from kiseki.system.secrets import mask_command, mask_text, mask_variables, strip_credentials

RANDOM = "3f9a8b7c6d5e4f3a2b1c"


@pytest.mark.parametrize(
    ("given", "masked"),
    [
        (["t.py", "--api-key", "abc", "--lr", "1"], ["t.py", "--api-key", "***", "--lr", "1"]),
        (["--api_key=abc", "--token=x", "-p=1"], ["--api_key=***", "--token=***", "-p=1"]),
        (["db.password=hunter2", "WANDB_API_KEY=1"], ["db.password=***", "WANDB_API_KEY=***"]),
        (["+db.password=hunter2", "++wandb.api_key=x"], ["+db.password=***", "++wandb.api_key=***"]),
        (["--apiKey=5", "--accessToken", "q"], ["--apiKey=***", "--accessToken", "***"]),
        (["--password", "-x9!"], ["--password", "***"]),
        (["--auth", "mei:pw", "--proxy-auth=a:b"], ["--auth", "***", "--proxy-auth=***"]),
        (["--label-key", RANDOM, "--x-token", RANDOM], ["--label-key", "***", "--x-token", "***"]),
        (["https://mei:pw@example.org/x"], ["https://***@example.org/x"]),
        (["postgresql://u:p@ss@h/db"], ["postgresql://***@h/db"]),
        (["https://x/?token=abc&page=2"], ["https://x/?token=***&page=2"]),
        (["kk_" + "0" * 40, "hf_" + "a" * 30], ["***", "***"]),
        (["--note=see ghp_" + "a1" * 15], ["--note=see ***"]),
        (["-H", "Authorization: Bearer abc.def", "-H", "X-Api-Key: q"],
         ["-H", "Authorization: ***", "-H", "X-Api-Key: ***"]),
        (['{"api_key": "a\\"b c", "lr": 0.1}'], ['{"api_key": "***", "lr": 0.1}']),
        (["db={user: mei, password: pw}"], ["db={user: mei, password: ***}"]),
        (["bash", "-c", "export HF_TOKEN=abc && t --api-key 'a b' --lr 1"],
         ["bash", "-c", "export HF_TOKEN=*** && t --api-key *** --lr 1"]),
        (["-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"], ["***"]),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_masked(given: list[str], masked: list[str]) -> None:
    assert mask_command(given) == masked


@pytest.mark.parametrize(
    "line",
    [
        "train.py --tokenizer bert --max-tokens 5 --num-tokens=5 --key-frames 7 --keys=4 --monkey=1",
        "train.py --pad-token '<pad>' --placeholder_token '<cat>' --initializer_token toy --b_token '[B]'",
        "train.py --use-auth-token --output_dir out --use_auth_token True --token 128",
        "train.py --sort-key val_loss data.image_key=image_256x256_center_crop --group-key=run",
        "train.py --secret --verbose --password ''",
        "train.py --ssh-key ~/.ssh/id_ed25519 --credentials ./service.json --signature serving_default",
        "train.py --patience=3 --path=/a --pass 2 --author mei --authors=2 --compass n --pattern 'a*'",
        "git clone git@github.com:mei/x.git ssh://git@example.org/x s3://bucket/key@v1",
        "train.py --api-key $WANDB_API_KEY --token=${HF_TOKEN}",
        "train.py --commit 4f3c2d1a4f3c2d1a4f3c2d1a4f3c2d1a4f3c2d1a --name 2026-11-24_lr0.1_bs32_wd1e-4",
        "python -c 'login(key=os.environ[\"KEY\"])'",
        "train.py --key",
    ],
)
def test_an_ordinary_command_stays_as_it_was_typed(line: str) -> None:
    assert shlex.join(mask_command(shlex.split(line))) == shlex.join(shlex.split(line))


def test_variables_are_masked_by_name_and_by_value() -> None:
    given = {
        "HF_TOKEN": "x",
        "SLURM_JOB_ID": "7",
        "PROXY": "http://mei:pw@proxy:1",
        "MY_PASS": "q",
        "DB_PASS": "q",
    }
    assert mask_variables(given) == {
        "HF_TOKEN": "***",
        "SLURM_JOB_ID": "7",
        "PROXY": "http://***@proxy:1",
        "MY_PASS": "q",
        "DB_PASS": "***",
    }


@pytest.mark.parametrize(
    ("given", "stripped"),
    [
        ("https://github.com/mei/x.git", "https://github.com/mei/x.git"),
        ("https://ghp_abc@github.com/mei/x.git", "https://github.com/mei/x.git"),
        ("https://mei:p/w@example.org/x", "https://example.org/x"),
        ("https://example.org:8080/mei@work/x", "https://example.org:8080/mei@work/x"),
        ("ssh://git:pw@example.org:22/x", "ssh://git@example.org:22/x"),
        ("git@github.com:mei/x.git", "git@github.com:mei/x.git"),
        ("/srv/git/x.git", "/srv/git/x.git"),
        ("https://example.org/x?private_token=abc", "https://example.org/x?private_token=***"),
    ],
)
def test_an_address_loses_its_credentials_and_stays_usable(given: str, stripped: str) -> None:
    assert strip_credentials(given) == stripped


@pytest.mark.parametrize("text", ["a" * 10**6, "key=" * 10**5, 'token: "x' * 10**5, "--api-key " * 10**5])
def test_a_huge_argument_is_masked_in_bounded_time(text: str) -> None:
    began = time.process_time()
    mask_text(text)
    assert time.process_time() - began < 5  # a pattern that backtracks would take hours

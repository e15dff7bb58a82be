"""Masking what looks like a key or password in command lines, variables, addresses and config-like text.

A name decides first (`--api-key`, `db.password`, `HF_TOKEN`), then the value: a `…_token` or `…_key` that is
no credential by its name (`--pad-token`, `--sort-key`) is masked only where its value looks random.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Final

MASK: Final = "***"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ALWAYS: Final = _words(
    "password passwd pwd passphrase passcode secret secrets credential credentials bearer authorization "
    "apikey apitoken accesskey accesstoken authtoken authkey secretkey privatekey masterkey"
)
_PASSWORDS: Final = ("password", "passwd", "pwd", "passphrase", "passcode", "secret")
_NOUNS: Final = frozenset(("key", "token"))
_PLURALS: Final = frozenset(("keys", "tokens"))
_SHORT: Final = frozenset(("pass", "pat", "sig", "signature"))
_OWNERS: Final = _words("admin azure db ftp git github gitlab mail mysql pg postgres redis root smtp user")
# What makes a key or token a credential when it stands before that word.
_QUALIFIERS: Final = _words(
    "access account admin anthropic api app auth aws azure bearer bot client cohere comet csrf deploy "
    "encryption gcp git github gitlab google groq hf hub huggingface identity jwt kaggle kiseki license "
    "licence login master mistral ngc npm nvidia oauth openai personal private pypi refresh replicate "
    "secret security sentry service session sign signing slack ssh storage stripe subscription sudo "
    "telegram vault wandb webhook"
)
_PLAIN_WORDS: Final = frozenset(("", "true", "false", "none", "null", "yes", "no"))
_HINTS: Final = ("key", "token", "pass", "pwd", "secret", "cred", "auth", "bearer", "pat", "cookie", "sig")
# Beginnings of the patterns below: looking for these costs less than trying the patterns.
_BEGINNINGS: Final = (
    "kk_", "sk-", "sk_", "rk_", "hf_", "gh", "gl", "xox", "AKIA", "ASIA", "AIza", "ya29.", "eyJ", "npm_",
    "pypi-", "dckr_", "SG.", "r8_", "gsk_", "nvapi-", "wandb_v", "xai-", "PRIVATE KEY",
)  # fmt: skip


def mask_command(arguments: Sequence[str]) -> list[str]:
    """The command line with the values of what looks like a key or password replaced by `***`.

    >>> mask_command(["train.py", "--api-key", "abc", "--lr=0.1", "DB_PASSWORD=x"])
    ['train.py', '--api-key', '***', '--lr=0.1', 'DB_PASSWORD=***']
    >>> mask_command(["train.py", "--max-tokens", "5", "--pad-token", "<pad>", "--key-frames", "3"])
    ['train.py', '--max-tokens', '5', '--pad-token', '<pad>', '--key-frames', '3']
    """
    masked: list[str] = []
    option = ""
    for argument in arguments:
        if option and not _is_option(argument) and is_secret(option, argument):
            masked.append(MASK)
            option = ""
            continue
        name, equals, value = argument.partition("=")
        plain_name = len(name) <= 100 and not any(sign in name for sign in " \n\t/:?{[(,;'\"")
        option = argument if argument.startswith("-") and not equals and plain_name else ""
        if equals and plain_name and not value.startswith(("{", "[")) and is_secret(name, value):
            masked.append(f"{name}={MASK}")
        else:
            masked.append(mask_text(argument))
    return masked


def mask_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables with the values of those that look like a key or password replaced by `***`.

    >>> mask_variables({"HF_TOKEN": "x", "SLURM_JOB_ID": "7", "PROXY": "http://mei:pw@proxy:3128"})
    {'HF_TOKEN': '***', 'SLURM_JOB_ID': '7', 'PROXY': 'http://***@proxy:3128'}
    """
    return {name: MASK if is_secret(name, value) else mask_text(value) for name, value in variables.items()}


def mask_text(text: str) -> str:
    """Text (JSON, YAML, a shell line, an address, …) with what looks like a key or password replaced.

    >>> mask_text('{"lr": 0.1, "api_key": "abc"}')
    '{"lr": 0.1, "api_key": "***"}'
    >>> mask_text("https://mei:pw@example.org/x?token=abc&page=2")
    'https://***@example.org/x?token=***&page=2'
    """
    text = mask_addresses(mask_tokens(text))
    lower = text.lower()
    if any(hint in lower for hint in _HINTS) and any(sign in text for sign in ":= "):
        text = _header_pattern().sub(rf"\g<1>{MASK}", text)
        text = _assignment_pattern().sub(_mask_assigned, text)
        if " -" in text or text.startswith("-"):
            text = _option_pattern().sub(_mask_option, text)
    return text


def mask_addresses(text: str) -> str:
    """Text with user and password of every address in it replaced.

    >>> mask_addresses("index https://mei:pw@pypi.example.org/simple")
    'index https://***@pypi.example.org/simple'
    """
    return _url_pattern().sub(_mask_user, text) if "://" in text else text


def mask_tokens(text: str) -> str:
    """Text with what is a credential by its own shape (`hf_…`, `ghp_…`, a private key, …) replaced."""
    if any(beginning in text for beginning in _BEGINNINGS):
        return _value_pattern().sub(MASK, text)
    return text


def has_credential(text: str) -> bool:
    """Whether something in `text` is a credential by its own shape."""
    return any(beginning in text for beginning in _BEGINNINGS) and bool(_value_pattern().search(text))


def strip_credentials(url: str) -> str:
    """An address without user and password; of ssh only without the password, for its user is no secret.

    >>> strip_credentials("https://ghp_abc@github.com/mei/x.git")
    'https://github.com/mei/x.git'
    >>> strip_credentials("ssh://git:pw@example.org/x"), strip_credentials("git@example.org:x")
    ('ssh://git@example.org/x', 'git@example.org:x')
    """
    if "://" not in url:
        return mask_tokens(url)
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    typed = authority.partition(":")[2]
    if typed and not typed.isdigit() and "@" not in authority and "@" in rest:
        # A password with a slash in it, as people type it.
        authority, slash, path = rest.rpartition("@")[0] + "@", "", rest.rpartition("@")[2]
    user, at, host = authority.rpartition("@")
    user = user.partition(":")[0] if "ssh" in scheme else ""
    return mask_text(f"{scheme}://{user + at if user else ''}{host}{slash}{path}")


def is_secret(name: str, value: str) -> bool:
    """Whether the value of an argument or variable of this name looks like a key or password."""
    plain = value.strip("'\"")
    if plain.lower() in _PLAIN_WORDS or plain == MASK or plain.startswith(("$", "<", "[", "{")):
        return False
    lower = name.lower()
    if not any(hint in lower for hint in _HINTS):
        return False
    words = _parts(name)
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last.endswith(_PASSWORDS):
        return True
    if plain.startswith(("/", "./", "../", "~/")) and not _looks_random(plain):
        return False  # the file that holds it
    if last in _ALWAYS or last.endswith(("apikey", "authtoken")):
        return True
    if last == "auth":
        return ":" in plain
    if last in _SHORT:
        return before in _OWNERS or _looks_random(plain)
    if last not in _NOUNS:
        return last in _PLURALS and before in ("api", "access", "auth", "secret", "private")
    if before in _QUALIFIERS:
        return True
    if not before:
        return not (plain.isdigit() and len(plain) <= 6)
    return _looks_random(plain)


def _is_option(argument: str) -> bool:
    """Whether this is an option of its own and not the value of the one before it."""
    return argument[:2] == "--" and argument[2:3].isalpha() and not _looks_random(argument[2:])


def _looks_random(value: str) -> bool:
    """Whether a value is 16 or more letters and digits that change their class as no word does."""
    if len(value) < 16 or not all(c.isalnum() or c in "+/%_=.~-" for c in value):
        return False
    classes = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in value if c.isalnum()]
    changes = sum(one != other for one, other in itertools.pairwise(classes))
    return "d" in classes and changes >= max(5, len(value) // 5)


def _mask_user(match: re.Match[str]) -> str:
    scheme, user = match.group(1), match.group(2)
    if user.startswith(("$", "{")) or (":" not in user and "http" not in scheme):
        return match.group(0)  # git@, or a bucket's or database's user without a password
    return f"{scheme}{MASK}@"


def _mask_assigned(match: re.Match[str]) -> str:
    name, sign, value = match.group("name"), match.group("sign"), match.group("value")
    quote = value[0] if value[0] in "\"'" else ""
    if not quote and ("(" in value or value.startswith(("os.", "self.", "args.", "cfg.", "config."))):
        return match.group(0)  # code that gets it from elsewhere
    if not is_secret(name, value):
        return match.group(0)
    return f"{name}{sign}{quote}{MASK}{quote}"


def _mask_option(match: re.Match[str]) -> str:
    if _is_option(match.group("value")) or not is_secret(match.group("name"), match.group("value")):
        return match.group(0)
    return f"{match.group('name')}{match.group('gap')}{MASK}"


def _parts(name: str) -> list[str]:
    """The words of a name, in small letters: `--wandb.apiKey` → wandb, api, key."""
    parts, part, before = [], "", ""
    for character in name:
        if not character.isalnum():
            character = ""
        if part and (not character or (character.isupper() and before.islower())):
            parts.append(part.lower())
            part = ""
        part += character
        before = character
    return [*parts, part.lower()] if part else parts


# Compiled when first needed, each alone: most command lines need none of them, and a start waits for it.


@functools.cache
def _value_pattern() -> re.Pattern[str]:
    value = (
        r"kk_[0-9a-f]{40}|sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{10,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_\w{20,}"
        r"|github_pat_\w{20,}|gl(?:pat|dt|rt|ptt|cbt)-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|A[KS]IA[0-9A-Z]{16}"
        r"|AIza[\w-]{30,}|ya29\.[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|npm_\w{30,}|pypi-[\w-]{30,}"
        r"|dckr_\w+_[\w-]{16,}|SG\.[\w-]{16,}\.[\w-]{16,}|r8_\w{30,}|gsk_\w{30,}|nvapi-[\w-]{30,}|xai-\w{30,}"
        r"|wandb_v\d_\w{20,}"
    )
    pem = r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    return re.compile(rf"(?<![A-Za-z0-9])(?:{value})|{pem}", re.DOTALL)


@functools.cache
def _url_pattern() -> re.Pattern[str]:
    return re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{0,20}://)([^/\s'\"<>]+)@")


_QUOTED: Final = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"


@functools.cache
def _assignment_pattern() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,99})(?P<sign>[\"']?[ \t]{0,4}[:=](?!//)[ \t]{0,4})"
        rf"(?P<value>{_QUOTED}|[^\s\"'&,;|)}}\]]+)"
    )


@functools.cache
def _option_pattern() -> re.Pattern[str]:
    return re.compile(
        rf"(?<!\S)(?P<name>--?[A-Za-z][\w.-]{{0,99}})(?P<gap>[ \t]{{1,4}})(?P<value>{_QUOTED}|\S+)"
    )


@functools.cache
def _header_pattern() -> re.Pattern[str]:
    return re.compile(
        r"(\b(?:proxy-)?(?:authorization|cookie)[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?)[^\"'\r\n]+",
        re.IGNORECASE,
    )

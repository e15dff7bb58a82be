"""Writes the golden run file; run by hand, and only when the format gains something."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kiseki.records import Header, frame_bytes, prelude

W = "wgoldengoldengold"
WALL = 1_700_000_000_000_000_000


def main() -> None:
    """Write `wgoldengoldengold.kiseki` beside this file."""
    big = msgspec.msgpack.Ext(1, (2**80).to_bytes(11, "big"))
    negative = msgspec.msgpack.Ext(1, (-(2**70)).to_bytes(9, "big", signed=True))
    floats = bytes.fromhex("000000000000e03f000000000000d03f")
    more = bytes.fromhex("000000000000f07f0000000000000080")
    payloads = [
        [18, 0, 0, 0, 0, WALL],
        [12, 10, {"python": "3.11", "command": ["python", "train.py"]}],
        [14, 20, {"name": "amber-fox-12", "tags": ["baseline"]}],
        [2, 30, {"lr": 0.01, "net": {"width": 8}, "seed": big}, []],
        [1, 1000, 0, ["loss", "acc"], floats],
        [1, 2000, 1, 0, more],
        [1, 3000, 2, [0, ["val", "acc"], "note"], [1, None, "höher"]],
        [1, 4000, 2, [1], [True], "a field of a later version"],
        [7, 4500, "a kind of a later version"],
        [5, 4510, 1, b" 10%|#\r\x1b[31m\xff\n"],
        [6, 4520, "code/tr\u00e4in.py", "ab" * 32, 1234, WALL],
        [6, 4530, "gone.txt", None, 0, 0],
        [16, 4_600, WALL + 5_000_000_000],
        [3, 5_600, [[["best", "acc"], 0.25]], [["loss"]]],
        [17, 6_600, 7, "No space left on device"],
        [18, 7_600, 1, 4, 2, WALL + 5_003_000_000],
        [1, 8_600, 3, ["loss"], [negative]],
        [13, 9_600, "failed", 1, "ValueError: no", None],
    ]
    header = Header(
        run_uid="00112233445566778899aabbccddeeff",
        entity="ada",
        project="golden",
        run_id="g1",
        writer=W,
        role="train",
        lane=W,
        host="analytical",
        user="ada",
        pid=7,
        wall_ns=WALL,
        boot_ns=123_456_789,
        sdk="0.1.0",
    )
    encode = msgspec.msgpack.encode
    frames = [frame_bytes(encode(payload)) for payload in (header, *payloads)]
    Path(__file__).with_name(f"{W}.kiseki").write_bytes(prelude() + b"".join(frames))


if __name__ == "__main__":
    main()

"""Searches lines by a regular expression in a process of its own, which can be ended when it takes too long.

Standard input: one line of JSON (`pattern`, `case`), then text. Output: the indices of the lines that match.
"""

import json
import re
import sys


def main() -> None:
    """Read, search, print."""
    asked = json.loads(sys.stdin.buffer.readline())
    search = re.compile(asked["pattern"], 0 if asked["case"] else re.IGNORECASE).search
    lines = sys.stdin.buffer.read().decode("utf-8").split("\n")
    found = [str(index) for index, line in enumerate(lines) if search(line)]
    sys.stdout.write(" ".join(found))


if __name__ == "__main__":
    main()

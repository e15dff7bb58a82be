"""The step of each row: wandb's counting, except that a row with an earlier step is kept."""

from __future__ import annotations

import operator
from typing import Any

MIN_STEP, MAX_STEP = -(2**63), 2**62
"""Far enough below 64 bits that counting on from the largest step never leaves them."""


class StepCounter:
    """Counts steps; `current` is the step of the open row, which the next plain `log` writes to.

    >>> steps = StepCounter()
    >>> [steps.place(step) for step in (500, 3, None)], steps.current
    ([500, 3, 500], 501)
    """

    __slots__ = ("current",)

    def __init__(self, current: int = 0) -> None:
        self.current = current

    def place(self, step: int | None, commit: bool | None = None) -> int:
        """The step of a row logged with these arguments; moves on where that closes the open row."""
        if step is None:
            at = self.current
            if commit is None or commit:
                self.current = at + 1
            return at
        if step >= self.current:
            self.current = step + 1 if commit else step
        return step


def whole_step(step: Any) -> int:
    """An int from what counts as a whole number: int, NumPy and torch integers, 3.0.

    Raises TypeError or ValueError that names the argument and what it takes.
    """
    try:
        number = operator.index(step)
    except TypeError:
        try:
            number = int(step)
            whole = number == step and not isinstance(step, str)
        except (TypeError, ValueError, OverflowError):
            whole = False
        if not whole:
            raise TypeError(
                f"log(step={step!r:.50}) takes a whole number, not {type(step).__name__}"
            ) from None
    if not MIN_STEP <= number <= MAX_STEP:
        raise ValueError(f"log(step={step!r:.50}) takes a whole number from -2^63 to 2^62")
    return number

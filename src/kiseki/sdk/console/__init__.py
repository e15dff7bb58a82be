"""Recording what a process prints: Python's streams, and what else is written on descriptors 1 and 2."""

from kiseki.sdk.console.capture import Capture, start

__all__ = ["Capture", "start"]

"""Making a run's code and environment anew from what was recorded: work tree, patch, packages, command."""

from .making import Reproduction, reproduce
from .recorded import Recorded, recorded_in_directory, recorded_on_server

__all__ = ["Recorded", "Reproduction", "recorded_in_directory", "recorded_on_server", "reproduce"]

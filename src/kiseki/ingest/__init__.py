"""The only writer of run data: append, seal, rebuild, and follow local run directories."""

from kiseki.ingest.follower import LocalFollower
from kiseki.ingest.service import Change, Ingest

__all__ = ["Change", "Ingest", "LocalFollower"]

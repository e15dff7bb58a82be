"""`python -m kiseki.sidecar SPOOL_DIR`: become the sidecar of that spool, unless it has one."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import partial
from pathlib import Path

from kiseki.sidecar.file_attendant import FileAttendant
from kiseki.sidecar.log import log
from kiseki.sidecar.loop import LINGER_S, Sidecar
from kiseki.sidecar.provenance_attendant import Provenance
from kiseki.sidecar.recording import Recording
from kiseki.sidecar.sampling.sampler import Sampler
from kiseki.sidecar.spool import Spool
from kiseki.sidecar.upload import Server, ask

_NICENESS = 5


def main(arguments: list[str]) -> int:
    """Run the sidecar; returns the exit status, 0 also where another process is this spool's sidecar."""
    if len(arguments) != 1 or not os.path.isdir(arguments[0]):
        sys.stderr.write("usage: python -m kiseki.sidecar SPOOL_DIR (a folder that exists)\n")
        return 2
    os.closerange(3, 4096)  # Sockets and files that libraries of the training let through.
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    spool = Spool(Path(arguments[0]))
    if not spool.acquire():
        return 0
    servers: dict[str, Server] = {}
    recording = Recording(partial(ask, servers))  # The first, for others ask it what applies.
    attendants = (
        recording,
        Sampler(recording.interval),
        Provenance(recording.choices),
        FileAttendant(),  # The last, for others put files where it finds them.
    )
    linger = float(os.environ.get("KISEKI_SIDECAR_LINGER", LINGER_S))
    sidecar = Sidecar(spool, linger=linger, attendants=attendants, servers=servers)
    signal.signal(signal.SIGTERM, lambda *_: sidecar.close_soon())
    for name in ("SIGINT", "SIGHUP"):  # The terminal's, meant for the training.
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        sidecar.run()
    except Exception as error:
        log(f"the sidecar ends: {type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The network of the machine, or of its network namespace: what is sent and received."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from kiseki.sidecar.sampling.reading import Rates, Reading, Watched

_INTERFACES: Final = Path("/sys/class/net")
_SNMP: Final = Path("/proc/net/snmp")


class Network:
    """Traffic of all interfaces but loopback, and those whose traffic another one counts too."""

    def __init__(self) -> None:
        self._rates = Rates()

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def read(self, watched: Sequence[Watched]) -> Reading:
        """Bytes sent and received, in all and a second; segments that TCP had to send again."""
        sent = received = 0
        for name, counters in psutil.net_io_counters(pernic=True).items():
            if name.startswith("lo") or (_INTERFACES / name / "master").exists():
                continue
            sent += counters.bytes_sent
            received += counters.bytes_recv
        totals = {"network.sent": float(sent), "network.recv": float(received)}
        values = {f"{key}Bps": rate for key, rate in self._rates.since(totals).items()}
        again = _sent_again()
        if again is not None:
            totals["network.tcpRetransmits"] = again
        return Reading(values, totals)


def _sent_again() -> float | None:
    try:
        rows = [line.split() for line in _SNMP.read_text().splitlines() if line.startswith("Tcp:")]
        return float(rows[1][rows[0].index("RetransSegs")])
    except (OSError, ValueError, IndexError):
        return None

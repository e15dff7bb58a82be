"""The socket that a server listens on, and who holds the port where it cannot."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Final

from kiseki.app.errors import CannotServe

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})
_BACKLOG: Final = 2048


def listen(host: str, port: int) -> socket.socket:
    """Listen on `host` and `port` (0: a free one); raises CannotServe where that cannot be."""
    # One address, the one that `local_url` names: localhost may mean ::1 first.
    host = "127.0.0.1" if host == "localhost" else host
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CannotServe(f"--host {host} is no address of this machine: {error.strerror}") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotServe(_why(host, port, error)) from None
    listener.setblocking(False)
    return listener


def local_url(host: str, port: int) -> str:
    """Return the URL at which processes of this machine reach a server that listens on `host`."""
    if host in _EVERYWHERE or host == "localhost":
        host = "127.0.0.1"
    return f"http://{_bracketed(host)}:{port}"


def outside_url(host: str, port: int) -> str:
    """Return the URL at which other machines reach it; for all addresses, by this machine's name."""
    return f"http://{_bracketed(socket.gethostname() if host in _EVERYWHERE else host)}:{port}"


def own_names(host: str) -> list[str]:
    """Return the names and addresses that a server bound to `host` beyond loopback answers to."""
    return [socket.gethostname()] if host in _EVERYWHERE else [_bracketed(host)]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = _port_holder(port)
        by = f" by {holder}" if holder else ""
        return f"port {port} is in use{by}; choose another: --port {_free_port(host)}"
    if error.errno == errno.EACCES:
        return f"port {port} is reserved for the system; choose one above 1023: --port {_free_port(host)}"
    return f"cannot listen on {host} port {port}: {error.strerror}"


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        with contextlib.suppress(OSError):
            probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _port_holder(port: int) -> str | None:
    """Name the process that listens on `port`, from /proc; None where that cannot be seen."""
    sockets = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            held = {os.readlink(entry) for entry in (process / "fd").iterdir()}
            if held & sockets:
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # Local address, state 0A (listening) and inode: see proc(5).
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                found.add(f"socket:[{fields[9]}]")
    return found

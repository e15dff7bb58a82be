"""What the store must know of the disk below it: is it a local file system, and is there room left."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

# f_type of statfs(2) of file systems whose locks or shared memory SQLite's WAL cannot trust.
_NETWORK = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x564C: "NCP",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x0BD00BD0: "Lustre",
    0x00C36400: "Ceph",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x47504653: "GPFS",
    0x19830326: "BeeGFS",
    0x01021997: "9P",
}


class _StatFs(ctypes.Structure):
    # Only the first word is read; the rest is room for what the kernel writes.
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_long * 63))


def network_file_system(path: Path) -> str | None:
    """The name of the network file system that `path` lies on, or None where it is local or unknown."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = _StatFs()
    if libc.statfs(os.fsencode(path), ctypes.byref(buffer)) != 0:
        return None
    return _NETWORK.get(buffer.f_type & 0xFFFFFFFF)


def free_bytes(path: Path) -> int:
    """Bytes that an ordinary user may still write on the file system of `path`."""
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize

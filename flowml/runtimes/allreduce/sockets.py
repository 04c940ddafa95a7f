"""The sockets that xgboost opens in this process, and doesn't hand out."""

import os
import socket
import struct
from collections.abc import Iterator

OPEN = "/dev/fd"
"""Where Linux and macOS name what a process has open."""
AT_ONCE = struct.pack("ii", 1, 0)
"""Of `SO_LINGER`: closing waits for nothing that is still to be sent, and resets the connection."""
SECONDS = struct.Struct("ll")
"""Seconds and microseconds."""


def end_with_reset(patience: int) -> int:
    """Have connections end with a reset, however their end here comes about, and count them.

    Parameters
    ----------
    patience : int
        Seconds that reading from them waits, by which they are known.
    """
    count = 0
    for found in _open_sockets():
        waits = found.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, SECONDS.size)
        if waits == SECONDS.pack(patience, 0):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            count += 1
    return count


def listeners() -> dict[int, int]:
    """Return the descriptors of the sockets that listen, by what the system knows each by."""
    return {
        os.fstat(found.fileno()).st_ino: found.fileno()
        for found in _open_sockets()
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    }


def new_listener(before: dict[int, int]) -> socket.socket | None:
    """Return the one socket that listens since; None if there are several, or none is known."""
    new = [fd for number, fd in listeners().items() if number not in before]
    return socket.socket(fileno=os.dup(new[0])) if len(new) == 1 else None


def _open_sockets() -> Iterator[socket.socket]:
    for name in os.listdir(OPEN) if os.path.isdir(OPEN) else ():
        try:
            found = socket.socket(fileno=int(name))
        except OSError:  # no socket, or closed since
            continue
        try:
            yield found
        finally:
            found.detach()  # it belongs to somebody else

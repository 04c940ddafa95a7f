"""A network of namespaces around one bridge, each at the end of a wire that can be bad.

Run as a process by `tests.network.Network`. The wires are here and not ``tc netem``, which many
kernels lack: a frame that comes out of one interface is put into another one later, or never.
It all goes when the standard input ends, however whoever wrote to it came to an end.
"""

import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
LONGEST_FRAME = 1 << 16


def ip(*words: str) -> str:
    """Run ``ip``."""
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    return done.stdout


def tap(name: str) -> int:
    """Make an Ethernet interface whose cable is a file; it goes when the file is closed."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return file


class Wires:
    """All wires of a network, which are equally bad.

    Parameters
    ----------
    ends : list of tuple of int
        The files of the two interfaces that each wire joins.
    """

    def __init__(self, ends: list[tuple[int, int]]) -> None:
        self.delay, self.loss, self.speed = 0.0, 0.0, 0.0
        self._other = {a: b for near, far in ends for a, b in ((near, far), (far, near))}
        self._free = dict.fromkeys(self._other, 0.0)
        self._flying: list[tuple[float, int, int, bytes]] = []
        self._numbers = count()
        self._random = random.Random(0)

    def serve(self) -> None:
        """Carry frames, and change as the lines of the standard input say, until it ends."""
        while True:
            wait = self._flying[0][0] - time.monotonic() if self._flying else None
            watched = [0, *self._other]
            ready, _, _ = select.select(watched, [], [], None if wait is None else max(wait, 0.0))
            for file in ready:
                if file:
                    self._take(file)
                elif not self._obey(sys.stdin.buffer.readline()):
                    return
            self._deliver()

    def _obey(self, line: bytes) -> bool:
        """Set delay (seconds), loss (share of the frames), and speed (bytes a second, 0: any)."""
        if line:
            self.delay, self.loss, self.speed = json.loads(line)
            print("done", flush=True)
        return bool(line)

    def _take(self, file: int) -> None:
        with suppress(OSError):  # nothing there any more, or the interface is down
            for _ in range(64):
                self._send(file, os.read(file, LONGEST_FRAME))

    def _send(self, file: int, frame: bytes) -> None:
        if self._random.random() < self.loss:
            return
        due = time.monotonic()
        if self.speed:
            due = self._free[file] = max(due, self._free[file]) + len(frame) / self.speed
        if self.delay or self.speed:
            flying = (due + self.delay, next(self._numbers), self._other[file], frame)
            heapq.heappush(self._flying, flying)
        else:
            self._put(self._other[file], frame)

    def _deliver(self) -> None:
        while self._flying and self._flying[0][0] <= time.monotonic():
            _, _, file, frame = heapq.heappop(self._flying)
            self._put(file, frame)

    def _put(self, file: int, frame: bytes) -> None:
        with suppress(OSError):  # down, or full: frames get lost
            os.write(file, frame)


def build(name: str, subnet: str, n_sites: int) -> Wires:
    """Make the bridge, and behind a wire each this namespace (address 1) and the sites (from 2)."""
    ip("link", "add", f"{name}br", "type", "bridge")
    ip("link", "set", f"{name}br", "up")
    # It would answer for this namespace's address, and messages to it would pass by the wire.
    Path(f"/proc/sys/net/ipv4/conf/{name}br/arp_ignore").write_text("1")
    ends = []
    for number in range(n_sites + 1):
        near, far = f"{name}n{number}", f"{name}f{number}"
        ends.append((tap(near), tap(far)))
        ip("link", "set", near, "master", f"{name}br", "up")
        inside: tuple[str, ...] = ()
        if number:
            ip("netns", "add", f"{name}-{number}")
            ip("link", "set", far, "netns", f"{name}-{number}")
            inside = ("-n", f"{name}-{number}")
            ip(*inside, "link", "set", "lo", "up")
        ip(*inside, "address", "add", f"{subnet}.{number + 1}/24", "dev", far)
        ip(*inside, "link", "set", far, "up")
    return Wires(ends)


def tear_down(name: str, n_sites: int) -> None:
    """End what still runs at the sites, and take them down."""
    for number in range(1, n_sites + 1):
        with suppress(subprocess.CalledProcessError):
            for process in ip("netns", "pids", f"{name}-{number}").split():
                os.kill(int(process), signal.SIGKILL)
            ip("netns", "delete", f"{name}-{number}")
    with suppress(subprocess.CalledProcessError):
        ip("link", "delete", f"{name}br")


def main(name: str, subnet: str, n_sites: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        wires = build(name, subnet, n_sites)
        print("done", flush=True)
        wires.serve()
    finally:
        tear_down(name, n_sites)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

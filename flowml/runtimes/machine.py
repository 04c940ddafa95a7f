"""Facts about the machine that this process runs on."""

import psutil


def available_memory() -> int:
    """Return the bytes that this process could still take."""
    return int(psutil.virtual_memory().available)


def total_memory() -> int:
    """Return the bytes that this machine has: the same in every fit."""
    return int(psutil.virtual_memory().total)


def resident_memory() -> int:
    """Return the bytes that this process holds now."""
    return int(psutil.Process().memory_info().rss)

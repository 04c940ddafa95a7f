"""Waiting for a server, which may be gone without a word."""

import time
from contextlib import suppress
from typing import Any

from flowml.runtimes.gangs.gang import LOST, Answer
from flowml.runtimes.gangs.member import LOOKED_FOR_EVERY, Member, Reply, present

ANSWERED_WITHIN = 60.0
"""Seconds that a server may take to answer."""
PRESENT_WITHIN = 4.0
"""Seconds in which a server says no more than that it is there: longer than sites wait."""


class ServerLostError(RuntimeError):
    """The worker of a member that serves is gone."""


def awaited(member: Member, server: Any, answer: Answer) -> Any:
    """Return what a server answers a member; what it raises is raised here.

    Raises
    ------
    ServerLostError
        If the server can't be reached.
    """
    try:
        reply = _reply(member, server, answer)
    except LOST as error:
        raise ServerLostError(
            f"the parameter server doesn't answer: {error or type(error).__name__}"
        ) from None
    if reply.error is not None:
        raise reply.error
    return reply.value


def _reply(member: Member, server: Any, answer: Answer) -> Reply:
    """Wait for a server's answer as long as it is there, and this member's gang.

    Dask tells a worker nothing of an actor that it has dropped, or whose worker is gone: what is
    asked of it is never answered. So a server that is silent is asked whether it is there. Where it
    isn't, the client has heard of it and dissolves the gang, or is gone itself.
    """
    deadline = time.monotonic() + ANSWERED_WITHIN
    heard = time.monotonic()
    while True:
        with suppress(TimeoutError):
            return answer.reply(LOOKED_FOR_EVERY)
        now = time.monotonic()
        if member.is_dissolved or now > deadline:
            raise TimeoutError(
                f"no answer within {ANSWERED_WITHIN:.0f} s, or its gang is dissolved"
            )
        if now > heard + PRESENT_WITHIN:
            Answer(server, "ask", present).reply(PRESENT_WITHIN)
            heard = time.monotonic()

"""A way to a scheduler that can be cut."""

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

CHUNK = 1 << 16


class Proxy:
    """Passes connections on to a scheduler, and drops them when told to.

    Parameters
    ----------
    scheduler : str
        Its address, ``"tcp://host:port"``.

    Attributes
    ----------
    address : str
        To connect to instead.

    Examples
    --------
    >>> import dask.array as da
    >>> import flowml
    >>> from distributed import Client, LocalCluster
    >>> from flowml.cluster import KMeans
    >>> from flowml.testing import Faults, Proxy
    >>> X = da.random.default_rng(0).normal(size=(4_000, 3), chunks=(500, 3))
    >>> with (  # doctest: +SKIP
    ...     LocalCluster(n_workers=2) as cluster,
    ...     Proxy(cluster.scheduler_address) as proxy,
    ...     Client(proxy.address) as client,
    ...     Faults(cluster) as faults,
    ... ):
    ...     strike = faults.at("in pass 3", proxy.cut, 0.5)
    ...     with flowml.config_context(client=client, callbacks=[strike]):
    ...         model = KMeans(4, random_state=0).fit(X)
    """

    def __init__(self, scheduler: str) -> None:
        target = urlsplit(scheduler)
        self._target = (target.hostname, target.port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False

    def cut(self, seconds: float) -> None:
        """Drop all connections, and take no new ones for some seconds; returns at once."""
        self._loop.call_soon_threadsafe(self._cut)
        threading.Timer(seconds, self._heal).start()

    def __enter__(self) -> "Proxy":
        """Listen."""
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop all connections for good."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        writers = (writer, back)
        self._open.update(writers)
        try:
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        finally:
            self._open.difference_update(writers)

    async def _close(self) -> None:
        self._server.close()
        self._cut()
        await asyncio.sleep(0.05)  # for those whose connections were dropped to end

    def _cut(self) -> None:
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def _heal(self) -> None:
        self._is_cut = False


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()

"""How the bytes of a request reach a chat-completions server, and how its bytes come back.

The transport is the seam below the client: `HttpTransport` is a pool of connections, the simulated
subject is another transport that answers in process. Everything above it is the same code for both.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from scaffold.models.streaming import EVENT_STREAM, Assembly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Answer", "Buffer", "HttpTransport", "RootedTransport", "Transport", "Unreachable", "checked_url"]

Buffer = bytes | bytearray

LARGEST_ANSWER = 32 << 20
"""Bytes; a server that says more than this is not answering."""

LARGEST_PLAIN_BODY = 1 << 20
"""aiohttp warns about longer bodies given as bytes, and writes them in one piece."""


IDLE_S = 60.0
"""Between two pieces of a streamed answer."""


FAREWELL_S = 0.5
"""For the end of a stream whose answer is all there."""


class _TooLong(aiohttp.ClientPayloadError):
    """The answer is longer than `LARGEST_ANSWER`."""


class _FellSilent(Exception):
    """Nothing more came of an answer that had begun."""


class Unreachable(Exception):
    """No answer came from the server; the message says why in plain words.

    Args:
        why: for people to read.
        how: `away` where nobody took the request, `late` where it was not answered in time, `broken` else.
    """

    def __init__(self, why: str, *, how: Literal["away", "late", "broken"] = "broken") -> None:
        super().__init__(why)
        self.how = how


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered, whatever the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_s: float | None = None
    """Until the first piece, where it came in pieces."""


class Transport(Protocol):
    """A way to a server that speaks the chat-completions protocol."""

    @property
    def address(self) -> str:
        """Where the server is, for people to read; never with credentials in it."""
        ...

    async def post(self, path: str, body: Buffer, /) -> Answer:
        """Send a JSON body to a path below the address.

        Raises:
            Unreachable: no complete answer came.
        """
        ...

    async def get(self, path: str, /) -> Answer:
        """Fetch a path below the address.

        Raises:
            Unreachable: no complete answer came.
        """
        ...


@runtime_checkable
class RootedTransport(Transport, Protocol):
    """A way to a server that has more to say than the protocol."""

    def at_root(self) -> Transport:
        """The same server, above the `/v1` of the address: where servers keep what is their own."""
        ...


def checked_url(base_url: str) -> URL:
    """Return the address of an API, for example `http://127.0.0.1:8000/v1`.

    Raises:
        ValueError: it is no http address, or holds credentials.
    """
    try:
        url = URL(base_url)
    except ValueError as fault:
        raise ValueError(f"not an http address ({fault})") from None
    if url.user is not None or url.password is not None:
        raise ValueError("the address of a server must hold no credentials; give a key instead")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"not an http address: {base_url!r}; write it as http://HOST:PORT/v1")
    return url


class HttpTransport:
    """One pool of kept-alive connections to one server, without a limit of its own on their number."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: URL, *, timeout_s: float, idle_s: float
    ) -> None:
        self._session = session
        self._base = base_url
        self._urls: dict[str, URL] = {}
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self.address = str(base_url.with_query(None)).rstrip("/")

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        base_url: str,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        idle_s: float = IDLE_S,
        proxy: str | None = None,
    ) -> AsyncIterator[HttpTransport]:
        """Open the pool; it is closed, and requests under way are dropped, on the way out.

        Args:
            base_url: Of the API, for example `http://127.0.0.1:8000/v1`.
            headers: Sent with each request, the authorisation among them.
            timeout_s: For one request, from its first byte to the answer's last.
            idle_s: Between two pieces of an answer that comes in pieces.
            proxy: Address of an HTTP proxy; without one the usual environment variables decide.

        Raises:
            ValueError: the base URL is no http address, or holds credentials.
        """
        url = checked_url(base_url)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"Content-Type": "application/json", **headers},
            proxy=proxy or _proxy_of_environment(url),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        async with session:
            yield cls(session, url, timeout_s=timeout_s, idle_s=idle_s)

    def at_root(self) -> HttpTransport:
        """The same connections, above the `/v1` of the address."""
        root = self._base.with_path(self._base.path.rstrip("/").removesuffix("/v1"), keep_query=True)
        return HttpTransport(self._session, root, timeout_s=self._timeout_s, idle_s=self._idle_s)

    async def post(self, path: str, body: Buffer, /) -> Answer:
        """Send a JSON body to a path below the address."""
        payload = body if len(body) < LARGEST_PLAIN_BODY else BytesIO(body)
        return await self._request("POST", path, payload)

    async def get(self, path: str, /) -> Answer:
        """Fetch a path below the address."""
        return await self._request("GET", path, None)

    async def _request(self, method: str, path: str, payload: Buffer | BytesIO | None) -> Answer:
        began = False
        started = time.perf_counter()
        try:
            async with self._session.request(
                method, self._url(path), data=payload, allow_redirects=False
            ) as response:
                began = True
                first_s = None
                if EVENT_STREAM in response.headers.get("Content-Type", "") and response.ok:
                    body, first = await self._assembled(response)
                    first_s = None if first is None else first - started
                else:
                    body = await _read_capped(response)
                return Answer(status=response.status, headers=response.headers, body=body, first_s=first_s)
        except _FellSilent:
            raise Unreachable(
                f"{self.address} fell silent for {self._idle_s:g} s in the middle of its answer", how="late"
            ) from None
        except TimeoutError:
            what = "did not end its answer" if began else "did not answer"
            raise Unreachable(f"{self.address} {what} within {self._timeout_s:g} s", how="late") from None
        except (aiohttp.ClientError, OSError) as fault:
            away = isinstance(fault, aiohttp.ClientConnectorError)
            why = f"{self.address} {_in_plain_words(fault)}"
            raise Unreachable(why, how="away" if away else "broken") from fault

    async def _assembled(self, response: aiohttp.ClientResponse) -> tuple[bytes, float | None]:
        """Return the answer that a stream tells of, and when it began."""
        assembly, first = Assembly(), None
        room = LARGEST_ANSWER
        while not assembly.done:
            try:
                piece = await self._next_piece(response)
            except (aiohttp.ClientPayloadError, ConnectionError):
                if assembly.whole:  # what the connection broke off after is all there
                    break
                raise
            if not piece:
                break
            room -= len(piece)
            if room < 0:
                raise _TooLong
            assembly.feed(piece)
            if first is None and assembly.began:
                first = time.perf_counter()
        if assembly.done:  # or else the connection could not be used again
            with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
                async with asyncio.timeout(FAREWELL_S):
                    await response.content.readany()
        body = assembly.body()
        if not assembly.whole:
            raise aiohttp.ClientPayloadError
        return body, first

    async def _next_piece(self, response: aiohttp.ClientResponse) -> bytes:
        idle = asyncio.timeout(self._idle_s)
        try:
            async with idle:
                return await response.content.readany()
        except TimeoutError:
            if idle.expired():
                raise _FellSilent from None
            raise

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = self._base.with_path(self._base.path.rstrip("/") + path, keep_query=True)
        return url


async def _read_capped(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or LARGEST_ANSWER + 1) <= LARGEST_ANSWER:
        return await response.read()
    chunks: list[bytes] = []
    room = LARGEST_ANSWER
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        room -= len(chunk)
        if room < 0:
            raise _TooLong
    return b"".join(chunks)


def _in_plain_words(fault: Exception) -> str:
    """Say what a server did, to be read after its address."""
    match fault:
        case aiohttp.ClientConnectorCertificateError():
            said = f"cannot be reached: its certificate is not accepted ({fault})"
        case aiohttp.ClientConnectorDNSError():
            said = "cannot be reached: its name does not resolve"
        case aiohttp.ClientConnectorError():
            errno = fault.os_error.errno
            why = os.strerror(errno) if errno else str(fault.os_error) or "the connection failed"
            said = f"cannot be reached: {why}"
        case _TooLong():
            said = f"answered with more than {LARGEST_ANSWER >> 20} MiB"
        case aiohttp.ClientPayloadError():
            said = "broke off its answer, or sent one that cannot be decoded"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            said = "closed the connection without an answer"
        case aiohttp.ClientResponseError():
            said = f"answered something that is not HTTP ({fault.message})"
        case _:
            said = f"gave no answer: {str(fault) or type(fault).__name__}"
    return said


def _proxy_of_environment(url: URL) -> str | None:
    """Look once: aiohttp's own look-up walks the environment on every request."""
    if url.host in {None, "127.0.0.1", "::1", "localhost"} or proxy_bypass(url.host or ""):
        return None
    return getproxies().get(url.scheme)

"""The few calls which a node makes, asynchronously and as plain dictionaries.

A generated client spends about a millisecond to turn a pod into a model; with hundreds of pods in the tests' own
process that would be most of what they measure.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

_log = logging.getLogger(__name__)
_STRATEGIC = "application/strategic-merge-patch+json"
_LINE_LIMIT = 4 * 2**20  # a watch event is one line: an object of etcd's size limit, and room
_PAUSE = 0.2
_LONGEST_PAUSE = 2.0


class Refused(Exception):
    """The API server answered, and not with success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class NodeApi:
    """Calls to the API server which wait, while `online` is not set, as those of a node without network do."""

    def __init__(self, url: str, token: str, ca: Path) -> None:
        self.online = asyncio.Event()
        self._session = aiohttp.ClientSession(
            url,
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(limit=32, ssl=ssl.create_default_context(cafile=str(ca))),
            read_bufsize=_LINE_LIMIT,
            timeout=aiohttp.ClientTimeout(total=30),
        )

    async def close(self) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None, **query: str) -> dict[str, Any]:
        """Make one call, once.

        Raises:
            Refused: the answer was an error.
            aiohttp.ClientError, TimeoutError: there was no answer.
        """
        kind = _STRATEGIC if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        async with self._session.request(
            method, path, data=data, params=query, headers={"Content-Type": kind}
        ) as answer:
            if answer.status >= 400:
                raise Refused(answer.status, await answer.text())
            result: dict[str, Any] = await answer.json()
            return result

    async def insist(
        self, method: str, path: str, body: object = None, *, settled: tuple[int, ...] = (404, 409)
    ) -> dict[str, Any] | None:
        """Make a call until it is answered for good; None if the answer is one of `settled`."""
        pause = _PAUSE
        while True:
            await self.online.wait()
            try:
                return await self.call(method, path, body)
            except Refused as refused:
                if refused.status in settled:
                    return None
                if refused.status in (400, 403, 422):
                    _log.error("%s %s: %s", method, path, refused)
                    return None
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def follow(
        self,
        path: str,
        selector: str,
        *,
        listed: Callable[[list[dict[str, Any]]], None],
        event: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """List, then watch, for ever. Whatever ends a watch, the next list tells what happened in between."""
        while True:
            try:
                found = await self.call("GET", path, fieldSelector=selector)
                listed(found["items"])
                query = {
                    "watch": "true",
                    "fieldSelector": selector,
                    "resourceVersion": found["metadata"]["resourceVersion"],
                }
                async with self._session.get(path, params=query, timeout=aiohttp.ClientTimeout(total=None)) as stream:
                    async for line in stream.content:
                        change = json.loads(line)
                        if change["type"] == "ERROR":
                            break
                        event(change["type"], change["object"])
            except (aiohttp.ClientError, Refused, TimeoutError, ValueError):
                pass
            await asyncio.sleep(_PAUSE)

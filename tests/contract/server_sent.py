"""Reads server-sent events, as the dashboard's page does."""

import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientResponse


async def events(answer: ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Their names and data."""
    name = ""
    async for line in answer.content:
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)

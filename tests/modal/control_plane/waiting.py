"""Waiting for something to become true, in a loop and in a test."""

import asyncio
import time
from collections.abc import Callable

TICK = 0.01


async def until(is_true: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is true, or so many seconds; returns whether it is."""
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(TICK)
    return True


def wait_for(is_true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait in a test; fails with `what` when it takes too long."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(TICK)

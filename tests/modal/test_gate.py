"""Who looks at the Volume while it is reloaded: nobody."""

import asyncio
import threading

from nova_graph.modal.gate import Gate
from nova_graph.modal.volume import Shared


def test_the_volume_is_not_reloaded_under_somebody_who_looks_at_it() -> None:
    log: list[str] = []
    gate = Gate(Shared(commit=lambda: None, reload=lambda: log.append("reload")), fresh=0.0)

    async def look(name: str, until: asyncio.Event) -> None:
        async with gate.look():
            log.append(f"{name} in")
            await until.wait()
            log.append(f"{name} out")

    async def check() -> None:
        leave, free = asyncio.Event(), asyncio.Event()
        free.set()
        first = asyncio.create_task(look("one", leave))
        while "one in" not in log:
            await asyncio.sleep(0)
        second = asyncio.create_task(look("other", free))
        await asyncio.to_thread(lambda: None)
        leave.set()
        await asyncio.gather(first, second)

    asyncio.run(check())
    assert log == ["reload", "one in", "one out", "reload", "other in", "other out"]


def test_many_look_at_once_after_one_reload() -> None:
    reloads: list[str] = []
    gate = Gate(Shared(commit=lambda: None, reload=lambda: reloads.append("reload")), fresh=3600.0)
    together = threading.Barrier(4)

    async def look() -> None:
        async with gate.look():
            await asyncio.to_thread(together.wait, 30)

    async def check() -> None:
        await asyncio.gather(*(look() for _ in range(4)))

    asyncio.run(check())
    assert reloads == ["reload"]

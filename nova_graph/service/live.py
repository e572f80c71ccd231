"""A job that is not over, as the service holds it in memory, and those who follow it."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from nova_graph.service.backend import OVER, Job, State, StoredEvent
from nova_graph.service.event_text import Lines

REMEMBERED: Final = 1000
"""Events of a job that followers get without reading the ledger."""


@dataclass(eq=False, slots=True, kw_only=True)
class LiveJob:
    """What is known of a job; `state` is what the ledger says, or will say after the changes under way."""

    number: int
    id: str
    owner: str
    graph: str
    inputs: str
    accepted: float
    seconds: float
    webhook_url: str = ""
    request: str = ""
    document: bytes | None = None
    """Its graph; None after a restart, when the ledger has it."""
    document_size: int = 0
    state: State = "queued"
    started: float | None = None
    ended: float | None = None
    error: str = ""
    pictures: int = 0
    cached: int = 0
    ran: int = 0
    attempts: int = 0
    cold: float = 0.0
    careful: bool = False
    """It ran out of memory before."""
    restored: bool = False
    """It was there when the service started: its attempts are counted in the ledger before they begin."""
    cancelled: bool = False
    """Somebody asked it to stop."""
    late: bool = False
    """It was told to stop because its time was over."""
    over: bool = False
    """The ledger says that it is over."""
    last_event: int = 0
    """The newest event that is in the ledger."""
    _recent: deque[StoredEvent] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def publish(self, lines: Lines) -> None:
        """Show events that are in the ledger now."""
        for text in lines.shown():
            self.last_event += 1
            self._recent.append(StoredEvent(self.last_event, text))
        self.notify()

    def close(self) -> None:
        """Say that the job is over, after its last event was published."""
        self.over = True
        self.notify()

    def notify(self) -> None:
        """Wake whoever waits for a change."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def changed(self) -> None:
        """Wait for the next change."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def since(self, after: int) -> list[StoredEvent] | None:
        """Return the events from number `after + 1` on; None where they must be read from the ledger."""
        if after >= self.last_event:
            return []
        if not self._recent or self._recent[0].number > after + 1:
            return None
        return [event for event in self._recent if event.number > after]

    def snapshot(self, position: int | None) -> Job:
        """Return the job as it stands."""
        return Job(
            id=self.id,
            owner=self.owner,
            graph=self.graph,
            # Over is what the ledger has: before that, nobody may be told.
            state=self.state if self.over or self.state not in OVER else "running",
            inputs=json.loads(self.inputs),
            accepted=self.accepted,
            started=self.started,
            ended=self.ended if self.over else None,
            error=self.error if self.over else "",
            pictures=self.pictures if self.over else 0,
            cached=self.cached if self.over else 0,
            ran=self.ran if self.over else 0,
            attempts=self.attempts,
            position=position,
            number=self.number,
            cold=self.cold,
            webhook_url=self.webhook_url,
            request=self.request,
        )

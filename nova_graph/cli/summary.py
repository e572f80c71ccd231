"""A run in numbers: what each node did, folded from the events."""

from dataclasses import dataclass, field, replace
from typing import Literal

from engine.events import AnyEvent, Cached, Done, Failed, Fetching, Finished, Planned, Progress, Started, Warned, Where

State = Literal["waiting", "running", "ran", "failed", "stopped", Where]


@dataclass(frozen=True, slots=True)
class Row:
    """What one node did; `seconds` is its own time where it ran."""

    node: str
    type: str = ""
    state: State = "waiting"
    seconds: float | None = None
    step: int = 0
    total: int = 0


@dataclass
class Summary:
    """Takes events one by one and keeps the rows in the order of the plan."""

    rows: dict[str, Row] = field(default_factory=dict)
    done: Done | None = None
    warnings: list[Warned] = field(default_factory=list)

    def take(self, event: AnyEvent) -> None:
        """Fold one event in."""
        if isinstance(event, Planned):
            self.rows = {node: Row(node) for node in event.nodes}
        elif isinstance(event, Done):
            self.done = event
            if event.outcome != "ok":
                self._stop()
        elif not isinstance(event, Fetching):
            row = self.rows.get(event.node, Row(event.node))
            self.rows[event.node] = _changed(replace(row, type=event.type), event)
            if isinstance(event, Warned):
                self.warnings.append(event)

    @property
    def ran(self) -> int:
        """How many nodes ran to their end."""
        return sum(row.state == "ran" for row in self.rows.values())

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return self.done.seconds if self.done is not None else 0.0

    def _stop(self) -> None:
        for node, row in self.rows.items():
            if row.state == "running":
                self.rows[node] = replace(row, state="stopped")


def _changed(row: Row, event: AnyEvent) -> Row:
    if isinstance(event, Started):
        return replace(row, state="running")
    if isinstance(event, Progress):
        return replace(row, step=event.step, total=event.total)
    if isinstance(event, Cached):
        return replace(row, state=event.where)
    if isinstance(event, Finished):
        return replace(row, state="ran", seconds=event.took)
    if isinstance(event, Failed):
        return replace(row, state="failed")
    return row


def told(state: State) -> str:
    """Return a state as people read it."""
    words: dict[str, str] = {
        "memory": "cached (memory)",
        "disk": "cached (disk)",
        "unneeded": "not needed",
        "twin": "same as another",
        "waiting": "not reached",
    }
    return words.get(state, state)

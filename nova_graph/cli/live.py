"""Events as live progress bars on a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from engine.events import AnyEvent, Cached, Done, Failed, Fetching, Finished, Planned, Started, Warned
from engine.events import Progress as Stepped
from nova_graph.cli.plain import size
from nova_graph.cli.printing import harmless
from nova_graph.cli.summary import told

_MINUTE = 60

_BAR = 28
"""The longest bar; it gives way where a line would not fit."""


class Pace(ProgressColumn):
    """How fast a node or a download goes, and how long it will still take."""

    def render(self, task: Task) -> Text:
        """Return `12/25   8.1 it/s   0:02 left`, or the same in bytes."""
        done, whole = int(task.completed), int(task.total or 0)
        if task.fields.get("bytes"):
            told_so_far = f"{size(done)}{f' of {size(whole)}' if whole else ''}"
            speed = f"{size(int(task.speed))}/s" if task.speed else ""
        else:
            told_so_far = f"{done}/{whole}" if whole else ""
            speed = pace(task.speed)
        left = f"{clock(task.time_remaining)} left" if task.time_remaining else ""
        return Text("   ".join(part for part in (told_so_far, speed, left) if part), style="progress.remaining")


def columns() -> tuple[ProgressColumn, ...]:
    """Return what a line of progress is made of; it stays one line in a narrow terminal too."""
    return (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(max_width=_BAR)),
        Pace(table_column=Column(no_wrap=True)),
    )


class LiveProgress:
    """A bar for each running node; nodes that are done leave a line above. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(*columns(), console=console, transient=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: AnyEvent) -> None:
        """Show one event."""
        match event:
            case Planned() | Done():
                for name in list(self._tasks):
                    self._end(name)
            case Fetching():
                self._fetch(event)
            case Started():
                self._begin(event.node, f"[bold]{escape(event.node)}[/] [dim]{escape(event.type)}[/]")
            case Stepped():
                task = self._begin(event.node, escape(event.node))
                self._progress.update(task, completed=event.step, total=event.total)
            case _:
                self._tell(event)

    def _tell(self, event: Cached | Finished | Failed | Warned) -> None:
        match event:
            case Cached():
                mark, style, text = "·", "dim", told(event.where)
            case Finished():
                mark, style, text = "✓", "green", f"{event.took:.2f} s"
            case Failed():
                mark, style, text = "✗", "red", "failed"
            case Warned():
                mark, style, text = "!", "yellow", harmless(event.text)
        if not isinstance(event, Warned):
            self._end(event.node)
        line = Text.assemble((f"{mark} ", style), event.node, (f" {event.type}", "dim"), "  ", (text, style))
        self._progress.console.print(line)

    def _fetch(self, event: Fetching) -> None:
        known = event.what in self._tasks
        task = self._begin(event.what, f"[bold]{escape(event.node)}[/] fetches {escape(event.what)}", is_bytes=True)
        if not known:
            self._progress.reset(task, completed=event.done, total=event.total)
        self._progress.update(task, completed=event.done, total=event.total)

    def _begin(self, name: str, description: str, *, is_bytes: bool = False) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(description, total=None, bytes=is_bytes)
        return self._tasks[name]

    def _end(self, name: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))


def pace(speed: float | None) -> str:
    """Return steps per second as people read it: `8.1 it/s`, or `2.4 s/it` where a step takes longer than a second."""
    if not speed:
        return ""
    return f"{speed:.1f} it/s" if speed >= 1 else f"{1 / speed:.1f} s/it"


def clock(seconds: float) -> str:
    """Return a time as `m:ss`."""
    return f"{int(seconds) // _MINUTE}:{int(seconds) % _MINUTE:02}"

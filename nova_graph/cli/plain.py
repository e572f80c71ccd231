"""Events as plain lines, for logs and pipes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.events import AnyEvent, Cached, Done, Failed, Fetching, Finished, Planned, Progress, Started, Warned
from nova_graph.cli.printing import harmless
from nova_graph.cli.summary import told

_PARTS = 4
"""A node's progress, or a download's, is told this many times."""

_FEW = 8
"""Nodes with fewer steps than this are not worth a line in between."""

_THOUSAND = 1000


@dataclass
class PlainLines:
    """Writes a line for what matters; progress in quarters."""

    write: Callable[[str], object]
    _told: dict[str, int] = field(default_factory=dict)

    def show(self, event: AnyEvent) -> None:
        """Write the line of one event, if it has one."""
        text = self._text(event)
        if text:
            self.write(f"{event.seconds:8.2f} s  {text}\n")

    def _text(self, event: AnyEvent) -> str:
        match event:
            case Planned():
                text = f"{len(event.to_run)} of {len(event.nodes)} nodes to run"
            case Fetching():
                text = self._fetching(event)
            case Progress():
                text = self._progress(event)
            case Done():
                text = ""
            case _:
                text = f"{event.node} ({event.type}) {_happened(event)}"
        return text

    def _progress(self, event: Progress) -> str:
        if event.total < _FEW or event.step == event.total or not self._is_news(event.node, event.step, event.total):
            return ""
        return f"{event.node} ({event.type}) {event.step}/{event.total}"

    def _fetching(self, event: Fetching) -> str:
        whole = event.total or 0
        if whole and not self._is_news(event.what, event.done, whole):
            return ""
        if not whole and not self._is_news(event.what, event.done // 2**28, 0):
            return ""
        return f"{event.node} fetches {event.what}: {size(event.done)}{f' of {size(whole)}' if whole else ''}"

    def _is_news(self, name: str, done: int, whole: int) -> bool:
        part = done * _PARTS // whole if whole else done
        is_news = self._told.get(name, 0 if whole else -1) != part
        self._told[name] = part
        return is_news


def _happened(event: Started | Cached | Finished | Failed | Warned) -> str:
    match event:
        case Started():
            return "started"
        case Cached():
            return told(event.where)
        case Finished():
            return f"finished in {event.took:.2f} s"
        case Failed():
            return "failed"
        case Warned():
            return f"warns: {harmless(event.text)}"


def size(count: int) -> str:
    """Return a number of bytes as people read it: `6.9 GB`."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= _THOUSAND and len(units) > 1:
        amount, units = amount / _THOUSAND, units[1:]
    return f"{int(amount)} {units[0]}" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"

"""The context of one running node."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from engine.assets import Found
from engine.environment import Environment
from engine.errors import AssetMissing, Cancelled, RegistryError
from engine.lineage import provenance_of
from engine.plan import Plan, Step
from engine.provenance import Provenance
from engine.services import Services
from engine.values import Handle

Live = TypeVar("Live")

Say = Callable[[Step, str], None]
Show = Callable[[Step, int, int, bytes | None], None]


class RunContext:
    """The engine's `Context`: what a node may use while it runs."""

    __slots__ = ("_is_stopping", "_plan", "_previews", "_say", "_services", "_show", "_step", "is_makeshift")

    def __init__(
        self,
        step: Step,
        plan: Plan,
        services: Services,
        is_stopping: Callable[[], bool],
        say: Say,
        show: Show,
        *,
        previews: bool,
    ) -> None:
        self._step = step
        self._plan = plan
        self._services = services
        self._is_stopping = is_stopping
        self._say = say
        self._show = show
        self._previews = previews
        self.is_makeshift = False
        """Whether the node said that its outputs are not quite what its key stands for."""

    @property
    def environment(self) -> Environment:
        """Device, dtype and software."""
        return self._services.environment

    @property
    def provenance(self) -> Provenance:
        """How this node's inputs came to be; raises RegistryError where the node does not say that it writes it."""
        step = self._step
        if not step.node.declaration.cls.writes_provenance:
            raise RegistryError(
                f"{step.type} uses ctx.provenance, which is not in its key",
                hint="Declare `writes_provenance: ClassVar[bool] = True` in its class.",
            )
        return provenance_of(self._plan.bound, step.id, self._plan.found, self.environment, step.key)

    def resident(self, handle: Handle[Live]) -> AbstractContextManager[Live]:
        """Lend the live object of a handle."""
        return self._services.pool.resident(handle, self.warn)

    def asset(self, port: str) -> Found:
        """Give what the text of this asset port resolved to.

        Raises AssetMissing where it was empty, AssetRefused where the file was changed since.
        """
        found = self._plan.found.get((self._step.id, port))
        if found is None:
            raise AssetMissing(f"{self._step.id}.{port} names nothing")
        found.check()
        return found

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        """Report progress; raises Cancelled if the caller asked to stop."""
        self._show(self._step, step, total, preview() if preview is not None and self._previews else None)
        self.check()

    def check(self) -> None:
        """Raise Cancelled if the caller asked to stop."""
        if self._is_stopping():
            raise Cancelled

    def warn(self, text: str) -> None:
        """Tell the user something that does not stop the run."""
        self._say(self._step, text)

    def make_room(self) -> None:
        """Forget the live objects that nobody uses."""
        self._services.pool.clear()

    def makeshift(self, text: str) -> None:
        """Warn, and keep the outputs out of the cache."""
        self.is_makeshift = True
        self.warn(f"{text}; not cached")

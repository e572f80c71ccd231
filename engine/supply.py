"""What the nodes of a plan wait for and give: which are ready to run, and the values that are still needed."""

from collections import deque

from engine.bound import Binding, Literal, Reference
from engine.node import Output
from engine.plan import Plan, Step, output_of


class Supply:
    """Hands out nodes whose inputs are there, and keeps every value until its last use.

    Not safe for threads: whoever shares it holds a lock while calling `take`, `can_take` and `complete`.
    """

    __slots__ = (
        "_device_busy", "_followers", "_plan", "_ready", "_ready_for_device", "_twins", "_uses", "_values", "_waits",
        "left",
    )  # fmt: skip

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ready: deque[Step] = deque()
        self._ready_for_device: deque[Step] = deque()
        self._device_busy = False
        self._values: dict[str, Output] = {}
        self._uses: dict[str, int] = {}
        self._waits: dict[str, int] = {}
        self._followers: dict[str, list[Step]] = {}
        self._twins: dict[str, list[str]] = {}
        to_run = plan.to_run
        self.left = len(to_run)
        """How many nodes have not been completed."""
        for step in plan.steps:
            if step.twin is not None:
                self._twins.setdefault(step.twin, []).append(step.id)
        for reference in plan.bound.outputs.values():
            self._uses[reference.node] = self._uses.get(reference.node, 0) + 1
        for step in to_run:
            for upstream in step.needs:
                self._uses[upstream] = self._uses.get(upstream, 0) + 1
                self._followers.setdefault(upstream, []).append(step)
            self._waits[step.id] = len(step.needs)
        for step in to_run:
            if not step.needs:
                self._queue(step)
        for node, output in plan.held.items():
            self._provide_with_twins(node, output)

    @property
    def can_take(self) -> int:
        """How many nodes could be taken now."""
        return len(self._ready) + int(bool(self._ready_for_device) and not self._device_busy)

    def take(self) -> Step | None:
        """Return a ready node, or None; of those for the device, one at a time."""
        if self._ready_for_device and not self._device_busy:
            self._device_busy = True
            return self._ready_for_device.popleft()
        return self._ready.popleft() if self._ready else None

    def complete(self, step: Step, output: Output) -> None:
        """Take what a node gave, and free what nobody needs any more."""
        self.left -= 1
        if step.node.declaration.device:
            self._device_busy = False
        for upstream in step.needs:
            self._release(upstream)
        self._provide_with_twins(step.id, output)

    def argument(self, binding: Binding) -> object:
        """Return the value of an input of a node that was taken."""
        if isinstance(binding, Literal):
            return binding.value
        if isinstance(binding, Reference):
            return output_of(binding, self._values)
        return tuple(self.argument(item) for item in binding.items)

    def outputs(self) -> dict[str, object]:
        """Return the graph's outputs, when all is done."""
        return {name: output_of(reference, self._values) for name, reference in self._plan.bound.outputs.items()}

    def alike(self, node: str) -> tuple[str, ...]:
        """Return a node and those of the same key, which take what it gives."""
        return (node, *self._twins.get(node, ()))

    def _provide_with_twins(self, node: str, output: Output) -> None:
        for name in self.alike(node):
            if self._uses.get(name):
                self._values[name] = output
            for follower in self._followers.get(name, ()):
                self._waits[follower.id] -= 1
                if not self._waits[follower.id]:
                    self._queue(follower)

    def _queue(self, step: Step) -> None:
        (self._ready_for_device if step.node.declaration.device else self._ready).append(step)

    def _release(self, node: str) -> None:
        self._uses[node] -= 1
        if not self._uses[node]:
            del self._values[node]

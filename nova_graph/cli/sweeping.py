"""Sweeps: a run for each value of an input, and for each combination where several inputs are swept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from engine.bound import Bound
from engine.values import Json
from engine.words import Words, types_of
from nova_graph.cli.exits import UsageError
from nova_graph.cli.flags import guess_input, known_input, read_value

if TYPE_CHECKING:
    from nova_graph.graph_file import GraphFile

MOST = 1000
"""Runs of one sweep."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One input and the values it takes, with the texts they were given as."""

    name: str
    texts: tuple[str, ...]
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """The axes of a sweep; the last one changes fastest."""

    axes: tuple[Axis, ...] = ()

    @property
    def inputs(self) -> list[dict[str, Json]]:
        """What each run is given."""
        names = [axis.name for axis in self.axes]
        return [dict(zip(names, values, strict=True)) for values in product(*(axis.values for axis in self.axes))]

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """What each run is called: `cfg=4`, `seed=7`."""
        return list(product(*([f"{axis.name}={text}" for text in axis.texts] for axis in self.axes)))


def check_together(sweeps: Sequence[str], *, grid: bool, as_json: bool) -> None:
    """Refuse options of `run` that do not go together; raises UsageError."""
    if grid and not sweeps:
        raise UsageError("--grid shows the pictures of a sweep", hint="Say what is swept: --sweep cfg=4,6.")
    if as_json and sweeps:
        raise UsageError("--json tells of one run; --sweep makes several", hint="Leave one of them out.")


def read_sweep(sweeps: Sequence[str], inputs: Mapping[str, Words]) -> Sweep:
    """Read `seed=1,2,3` and the like; values that have commas in them are parted by `|`. Raises UsageError."""
    axes: list[Axis] = []
    for sweep in sweeps:
        written, equals, text = sweep.partition("=")
        written = written.strip()
        if not equals or not written:
            raise UsageError(f"--sweep {sweep}: write it as name=a,b,...")
        name = known_input(written, inputs)
        if name is None:
            raise UsageError(f"--sweep {sweep}: the graph has no input {written}{guess_input(written, inputs)}")
        if any(axis.name == name for axis in axes):
            raise UsageError(f"--sweep {sweep}: {name} is swept twice")
        texts = tuple(part.strip() for part in text.split("|" if "|" in text else ","))
        axes.append(Axis(name, texts, tuple(_value(name, part, inputs[name]) for part in texts)))
    found = Sweep(tuple(axes))
    count = 1
    for axis in axes:
        count *= len(axis.values)
        if count > MOST:
            raise UsageError(f"--sweep makes more than {MOST:,} runs")
    return found


def _value(name: str, text: str, words: Words) -> Json:
    try:
        return read_value(f"--sweep {name}", text, words)
    except UsageError as error:
        if text:
            raise
        hint = f'Values have no spaces between them, or stand in quotes: --sweep "{name}=A, B".'
        raise UsageError(f"--sweep {name}: a value is missing", hint=hint) from error


def refuse_given(sweep: Sweep, inputs: Mapping[str, Json]) -> None:
    """Refuse an input that is swept and given a value too; raises UsageError."""
    for axis in sweep.axes:
        if axis.name in inputs:
            raise UsageError(f"{axis.name} is given twice: a value, and with --sweep", hint="Leave one of them out.")


def bind_runs(graph: "GraphFile", inputs: Mapping[str, Json], sweep: Sweep) -> list[Bound]:
    """Settle every run before the first begins; a seed that is drawn is drawn once for all.

    Raises GraphErrors, and UsageError where an input is swept and given a value too.
    """
    refuse_given(sweep, inputs)
    first, *rest = sweep.inputs
    bound = graph.bind({**inputs, **first})
    seeds = {name: given.value for name, given in bound.inputs.items() if "seed" in types_of(given.schema)}
    return [bound, *(graph.bind({**inputs, **seeds, **swept}) for swept in rest)]

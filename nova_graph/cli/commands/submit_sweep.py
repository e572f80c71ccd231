"""`nova-graph submit GRAPH --sweep`: one job for each value, all handed in as fast as the service takes them."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from threading import Event
from typing import Any, Final
from uuid import uuid4

from engine.errors import Cancelled, NovaError
from engine.follow import draw_seed
from engine.values import Json
from engine.words import RANDOM, Words, types_of
from nova_graph.cli.commands.graphs import count
from nova_graph.cli.commands.run import display, print_outputs, print_seeds, say_summary
from nova_graph.cli.commands.submit import (
    JobFailed,
    Pictures,
    SubmitOptions,
    follow_job,
    known_inputs,
    known_words,
    open_client,
    sent_along,
    sent_inputs,
)
from nova_graph.cli.commands.sweep import save_sheet
from nova_graph.cli.interrupt import stopping
from nova_graph.cli.opening import Given, declared_inputs, given_inputs, is_graph_file, open_graph, open_runtime
from nova_graph.cli.printing import say
from nova_graph.cli.saving import check_folder, check_out, save_files
from nova_graph.cli.summary import Summary
from nova_graph.cli.sweeping import Sweep, bind_runs, read_sweep, refuse_given
from nova_graph.http.client import ServiceClient, TooMany

AT_ONCE: Final = 32
"""Jobs that are handed in before the first of them is over."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What becomes a job: a graph, by name or whole, and its inputs."""

    graph: str | Mapping[str, Json]
    inputs: Mapping[str, Json] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid4().hex)
    """What makes it one job, however often it is handed in."""


def submit_sweep(given: Given, options: SubmitOptions, sweeps: Sequence[str], *, grid: bool) -> bool:
    """Run a graph on a service once for every combination of the swept values; False where one of them failed.

    Mistakes in any of them are found before the first is handed in. With `grid`, a sheet with all pictures is saved at
    the end. Raises NovaError; jobs that are not over are told to stop then.
    """
    with open_client(options.url) as client:
        read = _own_runs if is_graph_file(given.path) else _known_runs
        sweep, asked = read(given, sweeps, options.out, client)
        for one in asked:
            client.plan(one.graph, one.inputs)
        pictures = _Jobs(client, asked, sweep, options.out, given.path.stem).run()
    if grid:
        save_sheet(sweep, pictures.saved, options.out, given.path.stem)
    say(f"{count(len(asked), 'run')}, {pictures.failed} failed")
    return not pictures.failed


def _own_runs(given: Given, sweeps: Sequence[str], out: Path, client: ServiceClient) -> tuple[Sweep, list[_Asked]]:
    with open_runtime(on_disk=False) as runtime:
        graph = open_graph(given.path, runtime)
        sweep = read_sweep(sweeps, declared_inputs(graph))
        bounds = bind_runs(graph, given_inputs(graph, given), sweep)
    check_out(bounds, out)
    print_seeds(bounds[0], besides=[axis.name for axis in sweep.axes])
    pictures = Pictures(client)
    return sweep, [_Asked(sent_along(bound, pictures)) for bound in bounds]


def _known_runs(given: Given, sweeps: Sequence[str], out: Path, client: ServiceClient) -> tuple[Sweep, list[_Asked]]:
    words = known_words(client.schema(str(given.path)))
    sweep = read_sweep(sweeps, words)
    inputs = known_inputs(given, words)
    refuse_given(sweep, inputs)
    check_folder(out)
    swept = [axis.name for axis in sweep.axes]
    fixed = {**_seeds(words, [*inputs, *swept]), **inputs}
    pictures = Pictures(client)
    return sweep, [_Asked(str(given.path), sent_inputs({**fixed, **run}, pictures)) for run in sweep.inputs]


def _seeds(words: Mapping[str, Words], given: Sequence[str]) -> dict[str, Json]:
    """Draw the seeds that the service would draw anew for each run, and say which they are."""
    drawn: dict[str, Json] = {}
    for name, declared in words.items():
        if types_of(declared) == ("seed",) and declared.get("default") == RANDOM and name not in given:
            drawn[name] = draw_seed(declared, SystemRandom())
            say(f"{name}: {drawn[name]}")
    return drawn


@dataclass(slots=True)
class _Ended:
    """What came of a sweep: each run's first picture, and how many failed."""

    saved: list[Path | None] = field(default_factory=list)
    failed: int = 0


class _Jobs:
    """The jobs of a sweep, followed one after the other."""

    def __init__(self, client: ServiceClient, asked: Sequence[_Asked], sweep: Sweep, out: Path, stem: str) -> None:
        self._client = client
        self._count = len(asked)
        self._waiting = deque(asked)
        self._labels = deque(sweep.labels)
        self._handed_in: deque[Mapping[str, Any]] = deque()
        self._out = out
        self._stem = stem
        self._stopped = Event()

    def run(self) -> _Ended:
        """Run all; raises what follows from Ctrl-C, or from a service that is gone, and stops the rest."""
        ended = _Ended()
        try:
            with stopping(self._stop):
                while self._hand_in():
                    job, labels = self._handed_in[0], self._labels.popleft()
                    say(f"{self._count - len(self._labels)} of {self._count}: {', '.join(labels)}")
                    ended.saved.append(self._follow(job, ended))
                    self._handed_in.popleft()
        except BaseException:
            self._stop()
            raise
        if self._stopped.is_set():
            raise Cancelled("the runs that were left were cancelled")
        return ended

    def _hand_in(self) -> bool:
        """Hand in as many as there may be, waiting where the service takes none; False where none is left."""
        while self._waiting and len(self._handed_in) < AT_ONCE and not self._stopped.is_set():
            asked = self._waiting[0]
            try:
                job = self._client.submit(asked.graph, asked.inputs, key=asked.key)
            except TooMany as full:
                if self._handed_in:
                    break
                say(f"waiting for {full.seconds:.0f} s: {full.message}")
                self._stopped.wait(full.seconds)
                continue
            self._waiting.popleft()
            self._handed_in.append(job)
            if self._stopped.is_set():
                self._tell_to_stop(job)
        return bool(self._handed_in)

    def _follow(self, job: Mapping[str, Any], ended: _Ended) -> Path | None:
        """Show what happens to a job, save its pictures, print where, and return the first."""
        summary = Summary()
        try:
            with display(None) as show:
                given = follow_job(self._client, job, summary, show)
        except JobFailed as error:
            ended.failed += 1
            say(str(error))
            return None
        finally:
            say_summary(summary)
        saved = save_files(given.files, self._out, self._stem, datetime.now().astimezone())
        print_outputs(given.outputs, saved)
        return saved[0].path if saved else None

    def _stop(self) -> None:
        """Tell all that are not over to stop, once."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        jobs = list(self._handed_in)
        for job in jobs:
            self._tell_to_stop(job)
        if jobs:
            say(f"{count(len(jobs), 'run')} of {self._count} told to stop; press Ctrl-C again not to wait for that")

    def _tell_to_stop(self, job: Mapping[str, Any]) -> None:
        try:
            self._client.cancel(job["id"])
        except NovaError as error:
            say(f"the job {job['id']} was not told to stop: {error}")

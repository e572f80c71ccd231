"""Runs as lists of events, made by hand."""

from engine.events import AnyEvent, Cached, Done, Failed, Fetching, Finished, Planned, Progress, Started, Warned

WARM: list[AnyEvent] = [
    Planned(seconds=0.0, nodes=("loader", "encoder", "sampler", "png"), to_run=("sampler", "png")),
    Cached(seconds=0.01, node="loader", type="CheckpointLoader", where="unneeded"),
    Cached(seconds=0.01, node="encoder", type="Encoder", where="disk"),
    Started(seconds=0.02, node="sampler", type="Sampler"),
    *(
        Progress(seconds=0.02 + step / 10, node="sampler", type="Sampler", step=step, total=20, preview=b"\xff\xd8jpeg")
        for step in range(1, 21)
    ),
    Warned(seconds=2.1, node="sampler", type="Sampler", text="careful [bold]now[/]"),
    Finished(seconds=2.2, node="sampler", type="Sampler", took=2.18),
    Started(seconds=2.2, node="png", type="Serializer"),
    Finished(seconds=2.25, node="png", type="Serializer", took=0.05),
    Done(seconds=2.25, outcome="ok", ran=2, cached=2),
]

FETCHED: list[AnyEvent] = [
    *(
        Fetching(
            seconds=part,
            node="loader",
            type="CheckpointLoader",
            done=part * 10**8,
            total=10**9,
            what="nova.safetensors",
        )
        for part in range(11)
    ),
    Planned(seconds=11.0, nodes=("loader",), to_run=("loader",)),
    Started(seconds=11.0, node="loader", type="CheckpointLoader"),
    Finished(seconds=11.5, node="loader", type="CheckpointLoader", took=0.5),
    Done(seconds=11.5, outcome="ok", ran=1, cached=0),
]

FAILED: list[AnyEvent] = [
    Planned(seconds=0.0, nodes=("a", "b", "c"), to_run=("a", "b", "c")),
    Started(seconds=0.0, node="a", type="Add"),
    Finished(seconds=0.1, node="a", type="Add", took=0.1),
    Started(seconds=0.1, node="b", type="Divide"),
    Progress(seconds=0.2, node="b", type="Divide", step=3, total=9),
    Failed(seconds=0.3, node="b", type="Divide", error="ZeroDivisionError: division by zero"),
    Done(seconds=0.3, outcome="failed", ran=1, cached=0),
]

STOPPED: list[AnyEvent] = [
    Planned(seconds=0.0, nodes=("a", "b"), to_run=("a", "b")),
    Started(seconds=0.0, node="a", type="Sampler"),
    Progress(seconds=0.2, node="a", type="Sampler", step=4, total=25),
    Done(seconds=0.3, outcome="cancelled", ran=0, cached=0),
]

"""Renderings of the event stream."""

import base64
import io
import json

import pytest
from rich.console import Console
from rich.progress import Progress

from engine.events import AnyEvent, Done, Warned
from nodes.values import File
from nova_graph.cli.live import LiveProgress, Pace, clock, columns, pace
from nova_graph.cli.ndjson import Lines
from nova_graph.cli.plain import PlainLines, size
from nova_graph.cli.saving import Saved
from nova_graph.cli.summary import Summary
from nova_graph.cli.tables import summary_line, summary_table
from tests.nova_graph.runs import FAILED, FETCHED, STOPPED, WARM


def summed(events: list[AnyEvent]) -> Summary:
    summary = Summary()
    for event in events:
        summary.take(event)
    return summary


def table_text(summary: Summary) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_table(summary))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]


def ndjson(events: list[AnyEvent], *, previews: bool = False, saved: tuple[Saved, ...] = ()) -> list[dict[str, object]]:
    written: list[str] = []
    lines = Lines(written.append, previews)
    for event in events:
        lines.show(event)
    last = events[-1]
    assert isinstance(last, Done)
    lines.close(last, saved)
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in written)
    return [json.loads(text) for text in written]


def plain(events: list[AnyEvent]) -> list[str]:
    written: list[str] = []
    lines = PlainLines(written.append)
    for event in events:
        lines.show(event)
    return [text.strip() for text in written]


def live(events: list[AnyEvent], *, terminal: bool = True) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    with LiveProgress(console) as shown:
        for event in events:
            shown.show(event)
    return stream.getvalue()


def test_ndjson_is_one_object_a_line_with_the_promised_fields() -> None:
    objects = ndjson(WARM)
    assert len(objects) == len(WARM)
    assert [list(each)[:4] for each in objects[1:3]] == [["event", "node", "type", "seconds"]] * 2
    assert objects[0] == {
        "event": "planned",
        "seconds": 0.0,
        "nodes": ["loader", "encoder", "sampler", "png"],
        "to_run": ["sampler", "png"],
    }
    assert objects[2] == {"event": "cached", "node": "encoder", "type": "Encoder", "seconds": 0.01, "where": "disk"}
    assert objects[4] == {
        "event": "progress", "node": "sampler", "type": "Sampler", "seconds": 0.12, "step": 1, "total": 20,
    }  # fmt: skip
    assert [each["event"] for each in objects[-3:]] == ["started", "finished", "done"]
    assert objects[-2]["took"] == 0.05


def test_ndjson_carries_previews_only_if_asked() -> None:
    assert "preview" not in ndjson(WARM)[5]
    assert ndjson(WARM, previews=True)[5]["preview"] == base64.b64encode(b"\xff\xd8jpeg").decode()


def test_the_last_line_names_the_pictures(tmp_path: object) -> None:
    file = File(b"", "image/png", 8, 16, 7, "ab")
    saved = (Saved(file, tmp_path / "a.png"),)  # type: ignore[operator]
    last = ndjson(WARM, saved=saved)[-1]
    assert last["outcome"] == "ok"
    assert last["pictures"] == [
        {
            "path": f"{tmp_path}/a.png",
            "width": 8,
            "height": 16,
            "seed": 7,
            "media_type": "image/png",
            "pixel_sha256": "ab",
        }
    ]


def test_an_error_outside_any_node_is_a_line_of_its_own() -> None:
    written: list[str] = []
    Lines(written.append).fail(ValueError("no graph"), 2)
    assert [json.loads(text) for text in written] == [{"event": "error", "error": "no graph", "exit": 2}]


def test_plain_lines_tell_quarters() -> None:
    assert plain(WARM) == [
        "0.00 s  2 of 4 nodes to run",
        "0.01 s  loader (CheckpointLoader) not needed",
        "0.01 s  encoder (Encoder) cached (disk)",
        "0.02 s  sampler (Sampler) started",
        "0.52 s  sampler (Sampler) 5/20",
        "1.02 s  sampler (Sampler) 10/20",
        "1.52 s  sampler (Sampler) 15/20",
        "2.10 s  sampler (Sampler) warns: careful [bold]now[/]",
        "2.20 s  sampler (Sampler) finished in 2.18 s",
        "2.20 s  png (Serializer) started",
        "2.25 s  png (Serializer) finished in 0.05 s",
    ]


def test_plain_lines_tell_of_downloads() -> None:
    assert plain(FETCHED)[:4] == [
        "3.00 s  loader fetches nova.safetensors: 300.0 MB of 1.0 GB",
        "5.00 s  loader fetches nova.safetensors: 500.0 MB of 1.0 GB",
        "8.00 s  loader fetches nova.safetensors: 800.0 MB of 1.0 GB",
        "10.00 s  loader fetches nova.safetensors: 1.0 GB of 1.0 GB",
    ]


def test_the_closing_table() -> None:
    summary = summed(WARM)
    assert table_text(summary)[2:] == [
        "loader CheckpointLoader not needed",
        "encoder Encoder cached (disk)",
        "sampler Sampler ran 2.18",
        "png Serializer ran 0.05",
    ]
    assert summary_line(summary) == "2 ran, 2 cached, 2.25 s"


def test_the_closing_table_of_a_failure_and_of_a_stop() -> None:
    assert table_text(summed(FAILED))[2:] == ["a Add ran 0.10", "b Divide failed at step 3 of 9", "c not reached"]
    assert summary_line(summed(FAILED)) == "1 ran, 0 cached, 1 failed, 0.30 s"
    assert table_text(summed(STOPPED))[2:] == ["a Sampler stopped at step 4 of 25", "b not reached"]


@pytest.mark.parametrize("events", [WARM, FETCHED, FAILED, STOPPED])
def test_live_progress_leaves_a_line_for_each_finished_node(events: list[AnyEvent]) -> None:
    text = live(events)
    for row in summed(events).rows.values():
        if row.state == "ran":
            assert f"✓ {row.node} {row.type}  {row.seconds:.2f} s" in text
    assert text.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in text


def test_live_progress_shows_markup_in_texts_as_it_is() -> None:
    assert "! sampler Sampler  careful [bold]now[/]" in live(WARM)
    assert "✗ b Divide  failed" in live(FAILED)


@pytest.mark.parametrize(
    ("unit", "in_bytes", "told"),
    [(1, False, "12/25   2.0 it/s   0:07 left"), (10**6, True, "12.0 MB of 25.0 MB   2.0 MB/s   0:07 left")],
)
def test_a_bar_tells_how_far_how_fast_and_how_long_it_will_take(unit: int, in_bytes: bool, told: str) -> None:
    now = [0.0]
    progress = Progress(Pace(), console=Console(file=io.StringIO()), auto_refresh=False, get_time=lambda: now[0])
    task = progress.add_task("sampler", total=25 * unit, bytes=in_bytes)
    for step in range(1, 13):
        now[0] = step / 2
        progress.update(task, completed=step * unit)
    assert Pace().render(progress.tasks[0]).plain == told


def test_live_progress_has_a_bar_with_steps_for_a_node_that_runs() -> None:
    running = WARM[: WARM.index(next(event for event in WARM if isinstance(event, Warned))) + 1]
    assert any("sampler" in line and "20/20" in line for line in live(running).splitlines())


def test_numbers_as_people_read_them() -> None:
    assert [size(count) for count in (0, 999, 1500, 6_938_000_000)] == ["0 bytes", "999 bytes", "1.5 kB", "6.9 GB"]
    assert [pace(speed) for speed in (None, 8.123, 0.4)] == ["", "8.1 it/s", "2.5 s/it"]
    assert [clock(seconds) for seconds in (0.2, 61, 3600)] == ["0:00", "1:01", "60:00"]


@pytest.mark.parametrize(("width", "filled"), [(100, 13), (80, 8), (60, 0)])
def test_a_bar_gives_way_where_a_line_would_not_fit(width: int, filled: int) -> None:
    now = [0.0]
    stream = io.StringIO()
    console = Console(file=stream, width=width)
    progress = Progress(*columns(), console=console, auto_refresh=False, get_time=lambda: now[0])
    task = progress.add_task("second/face/detail FaceDetailer", total=25)
    for step in range(1, 13):
        now[0] += 0.5
        progress.update(task, completed=step)
    console.print(progress.get_renderable())
    (line,) = stream.getvalue().splitlines()
    assert line.rstrip().endswith("12/25   2.0 it/s   0:07 left")
    assert line.count("\u2501") == filled

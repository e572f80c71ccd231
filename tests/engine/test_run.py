"""Assets around a run: found, replaced, missing, downloaded first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from engine import Asset, Fetchable, Found
from engine.assets import Report
from engine.errors import AssetMissing, Cancelled
from engine.events import AnyEvent, Fetching, Planned
from engine.plan import make_plan
from engine.run import run_plan
from engine.services import Cancel, Services
from engine.why import reasons
from tests.engine.arith import arithmetic
from tests.engine.build import graph, services

NODES = arithmetic()
BOUND = graph(
    NODES, {"open": ("Opened", {"name": "cat"}), "say": ("Text", {"text": "$open.text"})}, {"text": "$say.text"}
)


@dataclass
class FolderAssets:
    """Files in a folder, and files on a shelf from which they can be fetched."""

    folder: Path
    shelf: Path
    watch: Callable[[], None] = lambda: None

    def find(self, asset: Asset) -> Found | Fetchable:
        path = self.folder / asset.name
        if path.exists():
            return Found(asset, path, sha256(path.read_bytes()).hexdigest(), "in the folder")
        if (self.shelf / asset.name).exists():
            return Fetchable(asset, "on the shelf")
        raise AssetMissing(f"{asset.kind} {asset.name!r} is nowhere", hint="Put it in the folder.")

    def fetch(self, asset: Asset, report: Report) -> Found:
        data = (self.shelf / asset.name).read_bytes()
        for done in range(len(data) + 1):
            report(done, len(data), asset.name)
        (self.folder / asset.name).write_bytes(data)
        found = self.find(asset)
        assert isinstance(found, Found)
        return found


@pytest.fixture
def assets(tmp_path: Path) -> FolderAssets:
    (tmp_path / "folder").mkdir()
    (tmp_path / "shelf").mkdir()
    return FolderAssets(tmp_path / "folder", tmp_path / "shelf")


@pytest.fixture
def within(assets: FolderAssets) -> Services:
    return replace(services(), assets=assets)


def run(within: Services, cancel: Cancel | None = None) -> tuple[object, set[str], list[AnyEvent]]:
    events: list[AnyEvent] = []
    _, outcome = run_plan(make_plan(BOUND, within), within, on_event=events.append, cancel=cancel)
    return outcome.outputs["text"], set(outcome.took), events


def test_a_file_replaced_under_the_same_name_is_a_miss(assets: FolderAssets, within: Services) -> None:
    (assets.folder / "cat").write_bytes(b"one")
    first, ran, _ = run(within)
    assert ran == {"open", "say"}
    assert run(within)[:2] == (first, set())
    (assets.folder / "cat").write_bytes(b"two")
    second, ran, _ = run(within)
    assert ran == {"open", "say"}
    assert second != first
    (assets.folder / "cat").write_bytes(b"one")
    assert run(within)[:2] == (first, set())


def test_what_is_not_here_yet_is_fetched_before_the_run_is_planned_to_the_end(
    assets: FolderAssets, within: Services
) -> None:
    (assets.shelf / "cat").write_bytes(b"one")
    plan = make_plan(BOUND, within)
    assert [(pending.node.id, pending.port) for pending in plan.pending] == [("open", "name")]
    assert [step.key for step in plan.steps] == [None, None]
    assert reasons(plan, within.environment, None, "graph") == {
        "open": "must be downloaded first: on the shelf",
        "say": "follows a node whose result is not known yet",
    }
    text, ran, events = run(within)
    assert text == sha256(b"one").hexdigest()
    assert ran == {"open", "say"}
    kinds = [type(event) for event in events]
    assert kinds.index(Planned) == kinds.count(Fetching) == 4
    assert [(event.done, event.total) for event in events if isinstance(event, Fetching)] == [
        (0, 3), (1, 3), (2, 3), (3, 3)
    ]  # fmt: skip
    assert run(within)[1] == set()


def test_a_download_can_be_cancelled(assets: FolderAssets, within: Services) -> None:
    (assets.shelf / "cat").write_bytes(b"one")
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        run(within, cancel)
    assert not (assets.folder / "cat").exists()


def test_all_that_is_nowhere_is_told_at_once(within: Services) -> None:
    files = {name: ("Opened", {"name": name}) for name in ("cat", "dog")}
    with pytest.raises(AssetMissing) as caught:
        make_plan(graph(NODES, files, {name: f"${name}.text" for name in files}), within)
    assert str(caught.value).splitlines()[::2] == [
        "cat.name: picture 'cat' is nowhere",
        "dog.name: picture 'dog' is nowhere",
    ]


def test_what_is_nowhere_is_an_error_with_its_place_in_the_graph(within: Services) -> None:
    with pytest.raises(AssetMissing, match=r"^open\.name: picture 'cat' is nowhere\n  Put it in the folder\.$"):
        make_plan(BOUND, within)

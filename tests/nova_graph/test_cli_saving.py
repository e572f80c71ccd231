"""Pictures into a folder."""

import os
import re
import resource
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodes.values import File
from nova_graph.cli.exits import OutputLost, UsageError
from nova_graph.cli.saving import base_name, check_folder, save_as, save_files, save_outputs

NOW = datetime(2026, 11, 23, 21, 44, 55, tzinfo=UTC)


def picture(data: bytes = b"png", seed: int | None = 7, media_type: str = "image/png") -> File:
    return File(data, media_type, 8, 8, seed, "00")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_names_tell_graph_time_and_seed(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "outputs"
    files = [picture(), picture(seed=None), picture(media_type="image/jpeg"), picture(media_type="image/webp")]
    saved = save_files(files, folder, "default", NOW)
    assert [each.path.name for each in saved] == [
        "default-20261123-214455-seed7.png",
        "default-20261123-214455.png",
        "default-20261123-214455-seed7.jpg",
        "default-20261123-214455-seed7.webp",
    ]
    assert [each.path.read_bytes() for each in saved] == [b"png"] * 4
    assert names(folder) == sorted(each.path.name for each in saved)


def test_pictures_of_several_outputs_are_named_after_them(tmp_path: Path) -> None:
    now = datetime(2026, 11, 23, 21, 44, 55, tzinfo=UTC)
    groups = {"happy": (picture(b"one"),), "calm": (picture(b"two"), picture(b"three", seed=8))}
    saved = save_outputs(groups, tmp_path, "sweep", now)
    assert [found.path.name for found in saved] == [
        "sweep-happy-20261123-214455-seed7.png",
        "sweep-calm-20261123-214455-seed7.png",
        "sweep-calm-20261123-214455-seed8.png",
    ]
    alone = save_outputs({"file": (picture(b"four"),)}, tmp_path, "sweep", now)
    assert alone[0].path.name == "sweep-20261123-214455-seed7.png"


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    for number in range(3):
        save_files([picture(bytes([number]))], tmp_path, "a", NOW)
    assert names(tmp_path) == [
        "a-20261123-214455-seed7-2.png",
        "a-20261123-214455-seed7-3.png",
        "a-20261123-214455-seed7.png",
    ]
    assert (tmp_path / "a-20261123-214455-seed7-3.png").read_bytes() == b"\x02"


def test_many_at_once_each_get_their_own_name(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(lambda number: save_files([picture(bytes([number]))], tmp_path, "a", NOW)[0], range(24)))
    assert len({each.path for each in saved}) == 24
    assert all(each.path.read_bytes() == each.file.data for each in saved)
    assert len(names(tmp_path)) == 24


def test_many_at_once_under_one_name_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(lambda number: save_as([picture(bytes([number]))], tmp_path, "output_1")[0], range(24)))
    assert "output_1.png" in names(tmp_path)
    assert "output_1-24.png" in names(tmp_path)
    assert all(each.path.read_bytes() == each.file.data for each in saved)
    assert len(names(tmp_path)) == 24


def test_pictures_are_readable_by_whom_the_user_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        (saved,) = save_files([picture()], tmp_path, "a", NOW)
    finally:
        os.umask(before)
    assert saved.path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("stem", ["../../etc/x", "a b/c", "-rf", "...", "", "ü" * 300, "a\nb"])
def test_odd_stems_stay_in_the_folder(tmp_path: Path, stem: str) -> None:
    (saved,) = save_files([picture()], tmp_path, stem, NOW)
    assert saved.path.parent == tmp_path
    assert re.fullmatch(r"[\w.]([\w.-]*)-20261123-214455-seed7\.png", saved.path.name)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputLost, match=r"cannot be written to .*file"):
        save_files([picture()], tmp_path / "file" / "outputs", "a", NOW)


def test_pictures_that_were_saved_before_one_could_not_be_are_named(tmp_path: Path) -> None:
    saved = tmp_path / "a-one-20261123-214455-seed7.png"
    files = {"one": [picture(b"one")], "two": [picture(b"no room" * 100_000)]}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputLost, match=f"File too large; saved before that: {re.escape(str(saved))}"):
            save_outputs(files, tmp_path, "a", NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == [saved.name]
    assert saved.read_bytes() == b"one"


def test_a_folder_is_checked_without_being_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "deep" / "outputs")
    assert not names(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written to .*file"):
        check_folder(tmp_path / "file" / "outputs")


def test_the_stem_of_a_saved_picture_comes_back(tmp_path: Path) -> None:
    for _ in range(2):
        (saved,) = save_files([picture()], tmp_path, "my-graph", NOW)
        assert base_name(saved.path) == "my-graph"
    assert base_name(Path("holiday.png")) == "holiday"

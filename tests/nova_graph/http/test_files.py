"""Pictures that are sent in."""

import hashlib
import os
import stat
import time
from pathlib import Path

import httpx
import pytest

from engine.assets import Asset, Fetchable, Found, Report
from engine.errors import AssetMissing, AssetRefused
from nova_graph.http.uploads import BLOCK, KEPT, Uploads, UploadsFull
from tests.nova_graph.http.pictures import bomb, encoded, lying_png, png, text_bomb
from tests.nova_graph.http.serving import Service, is_problem, starting

PNG = {"Content-Type": "image/png"}


def loading(name: str) -> dict[str, object]:
    """Return a graph that loads a picture."""
    nodes = {
        "load": {"type": "LoadImage", "inputs": {"picture": name}},
        "png": {"type": "Serializer", "inputs": {"image": "$load.image"}},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"file": "$png.file"}}


@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_a_picture_gets_its_name_from_its_content(client: httpx.Client, kind: str, ending: str) -> None:
    data = encoded(24, 16, kind)
    answer = client.post("/v1/files", content=data, headers={"Content-Type": "image/webp"})
    assert answer.status_code == 201
    file = answer.json()
    assert file["name"] == f"{hashlib.sha256(data).hexdigest()}.{ending}"
    assert (file["width"], file["height"], file["size"]) == (24, 16, len(data))
    assert file["name"] in [each["name"] for each in client.get("/v1/files").json()["files"]]
    job = client.post("/v1/jobs", json={"graph": loading(file["name"])}, params={"wait": 30}).json()
    assert job["state"] == "done"
    assert len(client.get(job["images"][0]).content) > 0
    assert client.delete(f"/v1/files/{file['name']}").status_code == 204
    assert is_problem(client.delete(f"/v1/files/{file['name']}"), 404)
    assert is_problem(client.post("/v1/plan", json={"graph": loading(file["name"])}), 422)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        png(8, 8)[:40],
        png(64, 64)[:-30],
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff" + bytes(100),
        b"RIFF\x10\0\0\0WEBPVP8X" + bytes(30),
        lying_png(60_000, 60_000),
        lying_png(16, 16),
        lying_png(0, 8),
        bomb(20_000, 20_000),
        bomb(5000, 5000),
    ],
    ids=range(14),
)
def test_what_is_no_good_picture_is_refused(client: httpx.Client, data: bytes) -> None:
    assert is_problem(client.post("/v1/files", content=data, headers=PNG), 422)


def test_a_text_that_would_fill_the_memory_is_not_unpacked(client: httpx.Client, service: Service) -> None:
    answer = client.post("/v1/files", content=text_bomb(), headers=PNG)
    assert answer.status_code in (201, 422)
    peak = next(
        line for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines() if "VmHWM" in line
    )
    assert int(peak.split()[1]) < 600_000


def test_limits_of_size_pixels_and_room(alice: httpx.Client) -> None:
    assert is_problem(alice.post("/v1/files", content=bytes(100_001), headers=PNG), 413)
    assert is_problem(alice.post("/v1/files", content=iter([bytes(60_000)] * 2), headers=PNG), 413)
    assert is_problem(alice.post("/v1/files", content=png(101, 100), headers=PNG), 422)
    names = []
    for red in range(100):
        answer = alice.post("/v1/files", content=png(20, 20, (red, 0, 0)), headers=PNG)
        if answer.status_code != 201:
            break
        names.append(answer.json()["name"])
    assert is_problem(answer, 507)
    assert names
    for name in names:
        assert alice.delete(f"/v1/files/{name}").status_code == 204


@pytest.mark.parametrize("kind", ["", "text/html", "image/svg+xml", "multipart/form-data", "image/gif"])
def test_other_types_are_refused(client: httpx.Client, kind: str) -> None:
    assert is_problem(client.post("/v1/files", content=png(8, 8), headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../secret.png",
        "%2e%2e%2fsecret.png",
        "..%5csecret.png",
        "/etc/passwd",
        "0" * 64 + ".svg",
        "0" * 63 + ".png",
        "0" * 64 + ".png%00",
        "0" * 64 + ".png/..",
    ],
)
def test_no_other_file_can_be_named(client: httpx.Client, name: str) -> None:
    answer = client.delete(f"/v1/files/{name}")
    assert answer.status_code in (404, 405, 422)
    assert is_problem(answer, answer.status_code)


class NoFiles:
    """Assets of a machine that has none."""

    def find(self, asset: Asset) -> Found | Fetchable:
        raise AssetMissing(f"there is no {asset.kind}")

    def fetch(self, asset: Asset, report: Report) -> Found:
        raise AssetMissing(f"there is no {asset.kind}")


def test_an_upload_is_an_asset_of_its_owner(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.keep("alice", png(8, 8))
    asset = Asset("image", upload.name)
    found = uploads.assets_for("alice", NoFiles()).find(asset)
    assert isinstance(found, Found)
    assert found.path == tmp_path / "alice" / upload.name
    assert found.sha256 == hashlib.sha256(png(8, 8)).hexdigest()
    for owner, wanted in (("bob", asset), ("alice", Asset("checkpoint", upload.name)), ("alice", Asset("image", "x"))):
        with pytest.raises(AssetMissing):
            uploads.assets_for(owner, NoFiles()).find(wanted)


@pytest.mark.parametrize("owner", ["", "..", "a/b", "A", "a" * 65])
def test_an_owner_is_no_path(tmp_path: Path, owner: str) -> None:
    with pytest.raises(AssetRefused):
        Uploads(tmp_path).keep(owner, png(8, 8))


def grow_old(path: Path) -> None:
    """Let a picture be one whose time is over."""
    os.utime(path, (path.stat().st_mtime - KEPT - 1,) * 2)


def test_a_picture_whose_time_is_over_is_none(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    names = [uploads.keep(owner, png(8, 8)).name for owner in ("alice", "bob")]
    grow_old(tmp_path / "alice" / names[0])
    assert (uploads.find("alice", names[0]), uploads.list("alice")) == (None, ())
    assert not uploads.remove("alice", names[0])
    uploads.expire()
    assert [path.parent.name for path in tmp_path.rglob("*.png")] == ["bob"]
    assert uploads.keep("alice", png(8, 8)).name == names[0]
    assert uploads.find("alice", names[0]) is not None


def test_all_pictures_together_have_so_much_room(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, total=2 * BLOCK)
    for owner in ("alice", "bob"):
        uploads.keep(owner, png(8, 8))
    with pytest.raises(UploadsFull, match="all the space"):
        uploads.keep("carol", png(8, 8))


def test_nobody_else_on_the_machine_sees_pictures(tmp_path: Path) -> None:
    Uploads(tmp_path / "uploads").keep("alice", png(8, 8))
    folders = [tmp_path / "uploads", tmp_path / "uploads" / "alice"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700, 0o700]


def test_a_service_removes_old_pictures_when_it_starts(tmp_path: Path) -> None:
    home = tmp_path / "state" / "uploads" / "local"
    home.mkdir(parents=True)
    old = home / f"{'0' * 64}.png"
    old.write_bytes(png(8, 8))
    grow_old(old)
    with starting(tmp_path):
        while old.exists():
            time.sleep(0.01)


def test_old_pictures_make_room_for_new_ones(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, budget=BLOCK)
    first = uploads.keep("alice", png(8, 8))
    with pytest.raises(UploadsFull):
        uploads.keep("alice", png(8, 8, (0, 0, 0)))
    grow_old(tmp_path / "alice" / first.name)
    second = uploads.keep("alice", png(8, 8, (0, 0, 0)))
    assert [upload.name for upload in uploads.list("alice")] == [second.name]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(UploadsFull, match="the disk is full"):
        Uploads(tmp_path, reserve=1 << 62).keep("alice", png(8, 8))
    assert list(tmp_path.rglob("*.png")) == []

import io
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image as Pillow

from engine.assets import Asset, Found
from engine.errors import AssetMissing, AssetRefused
from nodes.load_image import LoadImage
from nodes.values import Image
from tests.nodes.pictures.samples import RunningAlone


def context(path: Path | None) -> RunningAlone:
    content = path.read_bytes() if path is not None and path.exists() else b""
    return RunningAlone(assets={"picture": Found(Asset("image", str(path)), path, sha256(content).hexdigest())})


def write(path: Path, image: Pillow.Image) -> Path:
    out = io.BytesIO()
    image.save(out, "PNG")
    path.write_bytes(out.getvalue())
    return path


def test_a_picture_comes_with_a_mask_of_what_is_clear(tmp_path: Path) -> None:
    image = Pillow.new("RGBA", (16, 8), (9, 8, 7, 255))
    image.putpixel((3, 0), (1, 2, 3, 0))
    output = LoadImage(picture="a.png").run(context(write(tmp_path / "a.png", image)))
    assert output.image.pixels.shape == (1, 8, 16, 3)
    assert output.image.pixels.data[:3] == bytes([9, 8, 7])
    assert output.image.seeds == ()
    assert output.mask.weight.shape == (1, 8, 16)
    assert output.mask.weight.data == bytes([0, 0, 0, 255, *[0] * 124])


def test_an_opaque_picture_has_an_empty_mask_of_the_new_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", Pillow.new("RGB", (64, 32), "red"))
    output = LoadImage(picture="a.png", width=24, height=24).run(context(path))
    assert output.image.pixels.shape == (1, 24, 24, 3)
    assert output.mask.weight.data == bytes(24 * 24)


def test_fit_keeps_the_shape(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", Pillow.new("RGBA", (64, 32), "red"))
    output = LoadImage(picture="a.png", width=32, height=32, resize="fit").run(context(path))
    assert output.image.pixels.shape == (1, 16, 32, 3)
    assert output.mask.weight.shape == (1, 16, 32)


def test_what_is_no_picture_is_refused_by_its_file_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("hello")
    with pytest.raises(AssetRefused, match=r"^notes\.png is not a PNG"):
        LoadImage(picture=str(path)).run(context(path))


def test_a_file_that_went_away_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AssetMissing, match=r"gone\.png cannot be read: No such file"):
        LoadImage(picture="x").run(context(tmp_path / "gone.png"))
    with pytest.raises(AssetMissing, match="names no picture"):
        LoadImage(picture="x").run(context(None))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(AssetRefused, match="larger than 128 MiB"):
        LoadImage(picture="x").run(context(path))


def test_the_output_is_an_image_value(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", Pillow.new("RGB", (8, 8)))
    assert isinstance(LoadImage(picture="x").run(context(path)).image, Image)

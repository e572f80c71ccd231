"""`rerun --verify` on a picture that is not any more what was drawn."""

from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from tests.nova_graph.command import PAINTING, Command


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("ending", ["png", "webp", "jpg"])
def test_rerun_verify_knows_a_picture_that_was_edited(command: Command, ending: str) -> None:
    kind = {"jpg": "jpeg"}.get(ending, ending)
    graph = command.write(PAINTING.replace("image: $paint.image}", f"image: $paint.image, format: {kind}}}"))
    path = command.folder / command.call("run", graph, "--seed", "7").stdout.strip()
    assert command.call("rerun", str(path), "--verify").stdout.startswith("equal: the same pixels")
    with Pillow.open(path) as picture:
        info = PngInfo()
        info.add_text("nova_graph", picture.info.get("nova_graph", ""))
        exif = picture.getexif()
        edited = picture.convert("RGB")
    edited.paste((255, 0, 0), (0, 0, 4, 4))
    edited.save(command.folder / f"edited.{ending}", pnginfo=info, exif=exif)
    told = command.call("rerun", f"edited.{ending}", "--verify", code=1).stdout
    assert "different: this run gave the pixels that the record names, and the file shows others" in told
    assert "mean difference" in told

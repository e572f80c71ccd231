import subprocess
import sys

import pytest

from nodes.pictures.record import read_metadata, read_texts
from nodes.serializer import Serializer
from tests.nodes.pictures.infotext import parse
from tests.nodes.pictures.samples import RunningAlone, noise_image


@pytest.mark.parametrize(("name", "media_type"), [("png", "image/png"), ("webp", "image/webp"), ("jpeg", "image/jpeg")])
def test_files_tell_how_they_were_made(name: str, media_type: str) -> None:
    ctx = RunningAlone()
    files = Serializer(image=noise_image(count=2, seeds=(7, 8)), format=name).run(ctx).file.files  # type: ignore[arg-type]
    assert [file.media_type for file in files] == [media_type] * 2
    assert [file.seed for file in files] == [7, 8]
    record = read_metadata(files[1].data)
    assert record.provenance == ctx.provenance
    assert record.seed == 8
    fields = parse(record.parameters).fields
    assert fields["Schedule type"] != ""
    assert fields["Version"].startswith("nova-graph")


def test_the_privacy_switch() -> None:
    (file,) = Serializer(image=noise_image(), metadata="none").run(RunningAlone()).file.files
    assert read_texts(file.data) == {}
    assert file.seed is None


def test_the_picture_nodes_are_declared_without_heavy_imports() -> None:
    program = (
        "import sys, nodes.serializer, nodes.load_image, nodes.resize_image, nodes.pictures.record\n"
        "print([name for name in ('torch', 'PIL', 'numpy', 'diffusers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

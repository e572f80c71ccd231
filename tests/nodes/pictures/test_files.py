"""Pictures and their texts through the bytes of a file and back."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from engine.errors import AssetRefused
from nodes.pictures.batches import split_image
from nodes.pictures.decode import decode_picture
from nodes.pictures.files import Story, encode_files
from nodes.pictures.formats import Format
from nodes.pictures.record import MAX_RECORD, read_metadata, read_texts
from nodes.values import File, Image
from tests.nodes.pictures.infotext import parse
from tests.nodes.pictures.samples import DEFAULTS, default_provenance, noise_image

FORMATS: tuple[Format, ...] = get_args(Format)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def story(prompt: str = "1girl, solo", checkpoint: str = "nova-nano") -> Story:
    return Story(default_provenance(prompt, checkpoint=checkpoint), "nova-graph 0.1.0", DEFAULTS)


def encoded(file_format: Format = "png", told: Story | None = None, image: Image | None = None) -> tuple[File, ...]:
    return encode_files(image or noise_image(), told, file_format, 90, lambda: None).files


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_record_comes_back(file_format: Format) -> None:
    image = noise_image(count=2, seeds=(7, 8))
    files = encoded(file_format, story(), image)
    for index, file in enumerate(files):
        record = read_metadata(file.data)
        assert record.provenance == default_provenance()
        assert (record.index, record.seed, record.pixels) == (index, 7 + index, file.pixel_sha256)
        assert parse(record.parameters).fields["Seed"] == str(7 + index) == str(file.seed)
        assert record.program == "nova-graph 0.1.0"
        assert (record.width, record.height) == (file.width, file.height) == (24, 16)


def test_png_keeps_every_pixel_and_its_hash_is_theirs() -> None:
    (file,) = encoded()
    picture = decode_picture(file.data).picture
    assert picture == split_image(noise_image())[0]
    assert picture.sha256 == file.pixel_sha256


def test_webp_at_quality_100_keeps_every_pixel() -> None:
    (file,) = encode_files(noise_image(), story(), "webp", 100, lambda: None).files
    assert decode_picture(file.data).picture.sha256 == file.pixel_sha256


def test_the_pixel_hash_knows_the_shape() -> None:
    wide, tall = split_image(noise_image(24, 16))[0], split_image(noise_image(16, 24))[0]
    assert wide.rgb == tall.rgb
    assert wide.sha256 != tall.sha256


@pytest.mark.parametrize("file_format", FORMATS)
def test_equal_input_gives_equal_bytes(file_format: Format) -> None:
    assert encoded(file_format, story()) == encoded(file_format, story())


@pytest.mark.parametrize("file_format", FORMATS)
def test_without_a_story_nothing_is_told(file_format: Format) -> None:
    (file,) = encoded(file_format)
    assert read_texts(file.data) == {}
    for word in (b"nova", b"parameters", b"tEXt", b"iTXt", b"Exif", b"solo"):
        assert word not in file.data
    with pytest.raises(AssetRefused, match="holds no nova_graph record"):
        read_metadata(file.data)


@pytest.mark.parametrize("file_format", FORMATS)
def test_local_paths_stay_at_home(file_format: Format) -> None:
    (file,) = encoded(file_format, story(checkpoint="/home/alice/secret/nova.safetensors"))
    record = read_metadata(file.data)
    assert record.inputs["checkpoint"] == "nova.safetensors"
    assert record.graph["inputs"]["checkpoint"]["default"] == "nova.safetensors"  # type: ignore[index, call-overload]
    assert record.assets[0]["name"] == "nova.safetensors"
    assert parse(record.parameters).fields["Model"] == "nova"
    assert b"alice" not in file.data
    assert "alice".encode("utf-16-be") not in file.data


@given(prompt=TEXT)
@settings(max_examples=30)
@pytest.mark.parametrize("file_format", FORMATS)
def test_any_prompt_comes_back_exactly(file_format: Format, prompt: str) -> None:
    (file,) = encoded(file_format, story(prompt))
    assert read_metadata(file.data).inputs["prompt"] == prompt


def test_a_long_prompt_fits_into_png_and_webp_and_is_refused_for_jpeg() -> None:
    told = story("word, " * 20_000)
    for file_format in ("png", "webp"):
        (file,) = encoded(file_format, told)
        assert read_metadata(file.data).inputs["prompt"] == "word, " * 20_000
    with pytest.raises(AssetRefused, match="more than a JPEG can hold"):
        encoded("jpeg", told)


def test_an_image_whose_bytes_do_not_fill_its_shape_is_refused() -> None:
    image = noise_image()
    with pytest.raises(ValueError, match="batch, height, width, 3"):
        encoded(image=replace(image, pixels=replace(image.pixels, shape=(1, 16, 25, 3))))


def png_with(text: str, name: str = "nova_graph", compressed: bool = False) -> bytes:
    info, out = PngInfo(), io.BytesIO()
    info.add_itxt(name, text, zip=compressed)
    Pillow.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        ("{", "malformed"),
        ("[]", "malformed"),
        ("{}", r"malformed: program: Field required"),
        ("[" * 100_000, "malformed"),
        (json.dumps({"program": 1}), "malformed: program"),
        ("x" * (MAX_RECORD + 1), "longer than"),
    ],
    ids=["empty", "cut", "list", "no fields", "deep", "wrong type", "long"],
)
def test_a_junk_record_is_refused(text: str, reason: str) -> None:
    with pytest.raises(AssetRefused, match=reason):
        read_metadata(png_with(text))


def test_a_record_that_unpacks_without_end_is_refused() -> None:
    with pytest.raises(AssetRefused, match="damaged"):
        read_metadata(png_with(" " * 50_000_000, compressed=True))


@given(st.binary(max_size=200))
def test_junk_files_are_refused(data: bytes) -> None:
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8X"):
        with pytest.raises(AssetRefused):
            read_metadata(head + data)
        with pytest.raises(AssetRefused):
            decode_picture(head + data)


@given(place=st.integers(0, 2_000), value=st.integers(0, 255))
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_changed_byte_never_crashes_the_reader(file_format: Format, place: int, value: int) -> None:
    data = bytearray(encoded(file_format, story())[0].data)
    data[place % len(data)] = value
    for read in (read_metadata, decode_picture):
        assert refusal(read, bytes(data)) in ("", "the picture")


def refusal(read: Callable[[bytes], object], data: bytes) -> str:
    """Return what the refusal calls the file, or nothing where it was read."""
    try:
        read(data)
    except AssetRefused as refused:
        return "the picture" if "the picture" in str(refused) else str(refused)
    return ""

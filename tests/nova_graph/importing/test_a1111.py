"""A1111's generation parameters as graphs."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from nodes.pictures.record import read_texts
from nodes.samplers import SamplerName, ScheduleName, a1111_sampler, a1111_schedule, sampler_of
from nova_graph import Runtime, load, run
from nova_graph.cli.exits import UsageError
from nova_graph.cli.opening import every_node
from nova_graph.graph_file import read_graph
from nova_graph.importing import Imported, graph_text, import_graph
from nova_graph.importing.a1111 import read_parameters

TEXT = """\
1girl, solo, <lora:ink:0.7>, (smile:1.1), <lora:old paper:0.5:1>$5
second line
Negative prompt: lowres,
bad anatomy
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5.5, Seed: 1234, Size: 832x1216, \
Model hash: 0123456789, Model: novaAnimeXL_ilV55, VAE: sdxl_vae.safetensors, Denoising strength: 0.4, Clip skip: 2, \
ADetailer model: face_yolov8n.pt, ADetailer prompt: "red eyes, $7", ADetailer confidence: 0.35, \
ADetailer denoising strength: 0.3, ADetailer inpaint padding: 48, Hires upscale: 1.5, Hires steps: 15, \
Hires upscaler: Latent (nearest-exact), Lora hashes: "ink: 0d1e, old paper: 77", TI hashes: "neg: 77, bad: 1", \
Version: v1.10.1"""

GRAPH = """\
nova: 1
nodes:
  loader:  {type: CheckpointLoader, inputs: {checkpoint: nova-nano}}
  encoder:
    type: Encoder
    inputs:
      text_encoders: $loader.text_encoders
      prompt: "1girl, (blue hair:1.3), (full"
      negative: low
      weighting: a1111
  pag: {type: PAG, inputs: {scale: 2.0}}
  sampler:
    type: Sampler
    inputs:
      model: $loader.model
      conditioning: $encoder.conditioning
      guidance: $pag.guidance
      width: 128
      height: 64
      steps: 4
      sampler: dpmpp_2m
      schedule: karras
      seed: 18446744073709551615
  decode:  {type: Decode, inputs: {vae: $loader.vae, latents: $sampler.latents}}
  png:     {type: Serializer, inputs: {image: $decode.image}}
outputs: {image: $decode.image, file: $png.file}
"""


def picture(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Pillow.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def nodes_of(found: Imported, folder: Path) -> dict[str, Any]:
    path = folder / "graph.yaml"
    path.write_text(graph_text(found.tree))
    assert read_graph(path, every_node()).check() == ()
    nodes: Any = found.tree["nodes"]
    return {name: each.get("inputs", {}) for name, each in nodes.items()}


def test_how_faces_were_masked_is_in_the_graph(tmp_path: Path) -> None:
    said = (
        "ADetailer inpaint padding: 48, ADetailer mask only top k largest: 2, ADetailer mask min ratio: 0.01, "
        "ADetailer mask max ratio: 0.5, ADetailer dilate erode: -4, ADetailer x offset: 3, ADetailer y offset: -5, "
        "ADetailer mask merge invert: Merge and Invert"
    )
    text = TEXT.replace("ADetailer inpaint padding: 48", said)
    nodes = nodes_of(import_graph(picture(tmp_path / "it.png", parameters=text)), tmp_path)
    found, drawn = nodes["detect"], nodes["detail"]
    assert (found["limit"], found["min_ratio"], found["max_ratio"]) == (2, 0.01, 0.5)
    assert (drawn["padding"], drawn["dilate"], drawn["x_offset"], drawn["y_offset"]) == (48, -4, 3, -5)
    assert drawn["merge"] == "invert"


@pytest.mark.parametrize(
    ("said", "sampler", "schedule"),
    [
        ("ADetailer sampler: Euler a", "euler_ancestral", "karras"),
        ("ADetailer sampler: Euler a, ADetailer scheduler: Exponential", "euler_ancestral", "exponential"),
        ("ADetailer sampler: DPM++ 2M SDE Exponential", "dpmpp_2m_sde", "exponential"),
        ("ADetailer sampler: Use same sampler", "$inputs.sampler", "$inputs.schedule"),
    ],
)
def test_how_faces_were_drawn_by_themselves_is_in_the_graph(
    tmp_path: Path, said: str, sampler: str, schedule: str
) -> None:
    own = "ADetailer use separate CFG scale: True, ADetailer CFG scale: 4.5, ADetailer inpaint only masked: False"
    text = TEXT.replace("ADetailer inpaint padding: 48", f"{own}, {said}")
    drawn = nodes_of(import_graph(picture(tmp_path / "it.png", parameters=text)), tmp_path)["detail"]
    assert (drawn["cfg"], drawn["only_masked"]) == (4.5, False)
    assert (drawn["sampler"], drawn["schedule"]) == (sampler, schedule)


def test_which_faces_are_kept_is_in_the_graph_as_newer_adetailers_write_it(tmp_path: Path) -> None:
    said = "ADetailer method to decide top k masks: Confidence, ADetailer mask only top k: 3"
    text = TEXT.replace("ADetailer inpaint padding: 48", said)
    found = nodes_of(import_graph(picture(tmp_path / "it.png", parameters=text)), tmp_path)["detect"]
    assert (found["limit"], found["keep"]) == (3, "confidence")


@pytest.mark.parametrize(
    ("said", "sampler", "schedule"),
    [
        ("Hires sampler: Euler a", "euler_ancestral", "karras"),
        ("Hires sampler: Use same sampler, Hires schedule type: Exponential", "dpmpp_2m", "exponential"),
        (
            "Hires sampler: Use same sampler, Hires schedule type: Use same scheduler",
            "$inputs.sampler",
            "$inputs.schedule",
        ),
        ("Hires sampler: Euler a, Hires schedule type: SGM Uniform", "euler_ancestral", "sgm_uniform"),
    ],
)
def test_what_a_second_pass_has_of_its_own_is_in_the_graph(
    tmp_path: Path, said: str, sampler: str, schedule: str
) -> None:
    text = TEXT.replace("Hires steps: 15", f"Hires steps: 15, Hires CFG scale: 3.5, {said}")
    first, second = (
        nodes_of(import_graph(picture(tmp_path / "it.png", parameters=text)), tmp_path)[name]
        for name in ("sampler", "sampler2")
    )
    assert (first["sampler"], first["schedule"], first["cfg"]) == ("$inputs.sampler", "$inputs.schedule", "$inputs.cfg")
    assert (second["sampler"], second["schedule"], second["cfg"]) == (sampler, schedule, 3.5)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    usual = TEXT.replace("Clip skip: 2", "Clip skip: 2, Emphasis: Original")
    assert not any(
        "not imported" in note for note in import_graph(picture(tmp_path / "it.png", parameters=usual)).notes
    )
    said = 'ControlNet 0: "Module: none, Weight: 1", Refiner: other [12], Refiner switch at: 0.8, Variation seed: 5'
    text = TEXT.replace("Version: v1.10.1", f"{said}, Version: v1.10.1")
    notes = import_graph(picture(tmp_path / "it.png", parameters=text)).notes
    assert "not imported, and perhaps missed: ControlNet 0, Refiner, Refiner switch at, Variation seed" in notes


def test_all_that_the_text_says_is_in_the_graph(tmp_path: Path) -> None:
    found = import_graph(picture(tmp_path / "it.png", parameters=TEXT))
    nodes, inputs = nodes_of(found, tmp_path), found.tree["inputs"]
    assert isinstance(inputs, dict)
    given = {name: words["default"] for name, words in inputs.items() if isinstance(words, dict)}
    assert given == {
        "checkpoint": "novaAnimeXL_ilV55",
        "prompt": "1girl, solo, (smile:1.1), $5\nsecond line",
        "negative": "lowres,\nbad anatomy",
        "width": 832,
        "height": 1216,
        "steps": 28,
        "cfg": 5.5,
        "sampler": "dpmpp_2m",
        "schedule": "karras",
        "seed": 1234,
        "scale": 1.5,
        "denoise": 0.4,
    }
    assert [nodes[name]["lora"] for name in ("lora", "lora2")] == ["ink", "old paper"]
    assert (nodes["lora2"]["text_strength"], nodes["lora2"]["model_strength"]) == (0.5, 1.0)
    assert nodes["vae"]["override"] == "sdxl_vae"
    assert nodes["encoder"]["clip_skip"] == 2
    assert nodes["encoder"]["text_encoders"] == "$embedding2.text_encoders"
    assert (nodes["embedding"]["word"], nodes["embedding2"]["word"]) == ("neg", "bad")
    assert nodes["embedding"]["text_encoders"] == "$lora2.text_encoders"
    assert nodes["enlarge"] == {"latents": "$sampler.latents", "scale": "$inputs.scale", "method": "nearest-exact"}
    assert int(nodes["sampler2"]["steps"] * 0.4) == 15
    assert nodes["face"]["prompt"] == "red eyes, $7"
    assert nodes["detect"] == {"image": "$decode.image", "confidence": 0.35}
    assert nodes["detail"]["denoise"] == 0.3
    assert nodes["detail"]["padding"] == 48


@pytest.mark.parametrize(
    ("upscaler", "node", "ports"),
    [
        ("R-ESRGAN 4x+ Anime6B", "upscale", {"upscaler": "R-ESRGAN 4x+ Anime6B"}),
        ("Lanczos", "resize", {}),
        ("Latent", "enlarge", {"method": "bilinear"}),
        ("Latent (bicubic antialiased)", "enlarge", {"method": "bicubic"}),
    ],
)
def test_a_second_pass_enlarges_as_the_first_was(
    tmp_path: Path, upscaler: str, node: str, ports: dict[str, str]
) -> None:
    text = TEXT.replace("Latent (nearest-exact)", upscaler)
    given = nodes_of(import_graph(picture(tmp_path / "it.png", parameters=text)), tmp_path)[node]
    assert given.pop("latents", "$sampler.latents") == "$sampler.latents"
    assert given.pop("image", "$decode.image") == "$decode.image"
    assert given == {"scale": "$inputs.scale", **ports}


def test_a_picture_s_parameters_draw_it_again(tmp_path: Path, runtime: Runtime) -> None:
    (tmp_path / "first.yaml").write_text(GRAPH)
    first = run(load(tmp_path / "first.yaml", runtime=runtime).plan())
    parameters = read_texts(first.files[0].data)["parameters"]
    found = import_graph(picture(tmp_path / "it.png", parameters=parameters))
    nodes_of(found, tmp_path)
    again = run(load(tmp_path / "graph.yaml", runtime=runtime).plan())
    assert again.image.tobytes() == first.image.tobytes()
    assert not any("another picture" in note for note in found.notes)


def test_a_picture_of_ours_gives_its_own_graph(tmp_path: Path, runtime: Runtime) -> None:
    (tmp_path / "first.yaml").write_text(
        GRAPH.replace("nova: 1", "nova: 1\ninputs: {n: {type: integer}}").replace("steps: 4", "steps: $inputs.n")
    )
    first = run(load(tmp_path / "first.yaml", runtime=runtime).plan(n=3))
    found = import_graph(_bytes(tmp_path, first.files[0].data))
    nodes_of(found, tmp_path)
    again = run(load(tmp_path / "graph.yaml", runtime=runtime).plan())
    assert again.image.tobytes() == first.image.tobytes()
    assert again.events[-1].ran == 0  # type: ignore[union-attr]


def _bytes(folder: Path, data: bytes) -> Path:
    path = folder / "first.png"
    path.write_bytes(data)
    return path


def test_a_redrawn_picture_asks_for_its_original(tmp_path: Path) -> None:
    text = "1girl\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768, Denoising strength: 0.5"
    found = import_graph(picture(tmp_path / "it.png", parameters=text))
    nodes = nodes_of(found, tmp_path)
    assert nodes["load"] == {"picture": "$inputs.picture", "width": "$inputs.width", "height": "$inputs.height"}
    assert nodes["sampler"]["latents"] == "$encode.latents"
    assert any("--picture" in note for note in found.notes)


@pytest.mark.parametrize("sampler", get_args(SamplerName))
@pytest.mark.parametrize("schedule", get_args(ScheduleName))
def test_names_of_samplers_lead_back(sampler: SamplerName, schedule: ScheduleName) -> None:
    wanted = "uni_pc" if sampler == "uni_pc_bh2" else sampler
    assert sampler_of(a1111_sampler(sampler, "normal"), a1111_schedule(schedule)) == (wanted, schedule)


@pytest.mark.parametrize(
    ("name", "schedule", "found"),
    [
        ("DPM++ 2M Karras", "", ("dpmpp_2m", "karras")),
        ("DPM++ 3M SDE Exponential", "", ("dpmpp_3m_sde", "exponential")),
        ("DPM++ 2M", "Automatic", ("dpmpp_2m", "karras")),
        ("DPM++ 2M SDE", "Automatic", ("dpmpp_2m_sde", "exponential")),
        ("Euler a", "Automatic", ("euler_ancestral", "normal")),
        ("Euler a", "", ("euler_ancestral", "normal")),
        ("Euler", "Uniform", ("euler", "normal")),
        ("Restart", "", None),
        ("Euler", "Turbo", None),
    ],
)
def test_older_names_are_known(name: str, schedule: str, found: object) -> None:
    assert sampler_of(name, schedule) == found


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("Sampler: Restart", ("Restart", "normal")),
        ("Sampler: Restart, Schedule type: Karras", ("Restart", "karras")),
        ("Sampler: Euler a, Schedule type: Turbo", ("euler_ancestral", "Turbo")),
    ],
)
def test_a_sampler_that_is_not_here_is_kept_for_checking_to_tell(
    tmp_path: Path, fields: str, names: tuple[str, str]
) -> None:
    path = picture(tmp_path / "it.png", parameters=f"1girl\nSteps: 20, {fields}, Seed: 1")
    declared = import_graph(path).tree["inputs"]
    assert isinstance(declared, dict)
    assert [declared[name] for name in ("sampler", "schedule")] == [
        {"type": "string", "default": name} for name in names
    ]


@pytest.mark.parametrize("text", ["", "1girl", "1girl\nSampler: Euler", 'Steps: "', "Steps" + ":" * 1_000_000])
def test_a_text_without_fields_is_refused_or_read(text: str) -> None:
    try:
        assert read_parameters(text).prompt == ""
    except UsageError as error:
        assert "Steps" in str(error)  # noqa: PT017 - either is right


@given(st.text(max_size=200), st.text(alphabet=':," \\aS\n<lor>', max_size=80))
def test_a_stranger_s_text_is_read_or_refused(prompt: str, fields: str) -> None:
    from nova_graph.importing import a1111

    try:
        read = read_parameters(f"{prompt}\nSteps: 3, Sampler: Euler, {fields}")
        tree = a1111.translate(read, "it", None).tree()
    except UsageError:
        return
    assert graph_text(tree).startswith("nova: 1")

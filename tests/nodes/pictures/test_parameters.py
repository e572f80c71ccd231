from dataclasses import replace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from engine.provenance import Provenance
from engine.values import Json
from nodes.pictures.names import plain_name
from nodes.pictures.parameters import describe_parameters
from tests.nodes.pictures.infotext import parse
from tests.nodes.pictures.samples import CHECKPOINT_SHA, DEFAULTS, LORA_SHA, default_provenance

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def describe(provenance: Provenance, seed: int | None = 7) -> str:
    return describe_parameters(provenance, DEFAULTS, size=(832, 1216), seed=seed, program="nova-graph 0.1.0")


def test_the_text_is_what_a1111_writes() -> None:
    assert describe(default_provenance()) == (
        "1girl, solo\n"
        "Negative prompt: lowres\n"
        "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5, Seed: 7, RNG: CPU, "
        "Size: 832x1216, "
        "PAG Active: True, PAG Scale: 3, Model hash: 6ce0161689, Model: nova-nano, Clip skip: 2, "
        "ADetailer model: face_yolov8n.pt, ADetailer confidence: 0.35, "
        'ADetailer prompt: "masterpiece, smile, happy", ADetailer denoising strength: 0.45, '
        "Version: nova-graph 0.1.0"
    )


def test_a_vae_and_a_lora_of_their_own_are_named_with_their_hashes() -> None:
    base = default_provenance()
    more: tuple[dict[str, Json], ...] = (
        {
            "node": "vae",
            "port": "override",
            "kind": "vae",
            "name": "/home/me/sdxl_vae.safetensors",
            "sha256": "cd" * 32,
        },
        {"node": "lora", "port": "lora", "kind": "lora", "name": "styles/ink: a, b.safetensors", "sha256": LORA_SHA},
    )
    fields = parse(describe(replace(base, assets=(*base.assets, *more)))).fields
    assert fields["VAE hash"] == "cdcdcdcdcd"
    assert fields["VAE"] == "sdxl_vae.safetensors"
    assert fields["Lora hashes"] == "ink_ a_ b: 7c6bad76eb"
    assert fields["Model hash"] == CHECKPOINT_SHA[:10]


def with_loras(text_encoders: str = "$outer.text_encoders") -> Provenance:
    """Return a graph of two chained LoRAs, the outer one weaker on text, as the given text encoders have them."""
    provenance = default_provenance()
    nodes = cast("dict[str, dict[str, dict[str, Json]]]", provenance.graph["nodes"])
    for name, below, strengths in (
        ("inner", "loader", {"model_strength": -0.5, "text_strength": -0.5}),
        ("outer", "inner", {"model_strength": 0.8, "text_strength": "$inputs.weaker"}),
    ):
        ports: dict[str, Json] = {"model": f"${below}.model", "text_encoders": f"${below}.text_encoders"}
        nodes[name] = {"type": "LoRA", "inputs": {**ports, **strengths}}  # type: ignore[dict-item]
    nodes["sampler"]["inputs"]["model"] = "$outer.model"
    nodes["encoder"]["inputs"]["text_encoders"] = text_encoders
    assets: list[dict[str, Json]] = [
        {"node": "inner", "port": "lora", "kind": "lora", "name": "loras/ink.safetensors", "sha256": "ef" * 32},
        {"node": "outer", "port": "lora", "kind": "lora", "name": "a<b>:c", "sha256": LORA_SHA},
    ]
    inputs = {**provenance.inputs, "weaker": 0.25}
    return replace(provenance, inputs=inputs, assets=(*provenance.assets, *assets))


def test_loras_stand_behind_the_prompt_as_a1111_has_them() -> None:
    found = parse(describe(with_loras()))
    assert found.prompt == "1girl, solo <lora:ink:-0.5> <lora:a_b__c:0.25:0.8>"
    assert found.negative == "lowres"
    assert sorted(found.fields["Lora hashes"].split(", ")) == ["a_b__c: 7c6bad76eb", "ink: efefefefef"]


def test_a_lora_on_the_model_alone_has_no_strength_on_text() -> None:
    assert parse(describe(with_loras("$loader.text_encoders"))).prompt == (
        "1girl, solo <lora:ink:0:-0.5> <lora:a_b__c:0:0.8>"
    )


def test_embeddings_that_prompts_name_are_listed_as_a1111_does() -> None:
    provenance = default_provenance(prompt="1girl, happy", negative="(embedding:Neg:1.2), lowres")
    nodes = cast("dict[str, dict[str, dict[str, Json]]]", provenance.graph["nodes"])
    below = "loader"
    for number, word in enumerate(("neg", "happy", "hands")):
        ports: dict[str, Json] = {"text_encoders": f"${below}.text_encoders", "embedding": word, "word": word}
        nodes[word] = {"type": "Embedding", "inputs": ports}  # type: ignore[dict-item]
        asset: dict[str, Json] = {"node": word, "port": "embedding", "kind": "embedding", "name": f"{word}-{number}"}
        provenance = replace(provenance, assets=(*provenance.assets, {**asset, "sha256": f"{number}" * 64}))
        below = word
    nodes["encoder"]["inputs"]["text_encoders"] = "$hands.text_encoders"
    found = parse(describe(provenance))
    assert found.negative == "(embedding:Neg:1.2), lowres"
    assert sorted(found.fields["TI hashes"].split(", ")) == ["happy: 1111111111", "neg: 0000000000"]
    nodes["encoder"]["inputs"]["weighting"] = "comfy"
    assert parse(describe(provenance)).fields["TI hashes"] == "neg: 0000000000"


def with_control_nets(**last: Json) -> Provenance:
    """Return a graph of two chained ControlNets, behind a LoRA."""
    provenance = with_loras()
    nodes = cast("dict[str, dict[str, dict[str, Json]]]", provenance.graph["nodes"])
    ports: dict[str, Json] = {"model": "$outer.model", "image": "$picture.image", "end": "$inputs.until"}
    nodes["depth"] = {"type": "ControlNet", "inputs": ports}  # type: ignore[dict-item]
    nodes["lines"] = {"type": "ControlNet", "inputs": {"model": "$depth.model", **last}}  # type: ignore[dict-item]
    nodes["sampler"]["inputs"]["model"] = "$lines.model"
    assets: list[dict[str, Json]] = [
        {"node": "lines", "port": "controlnet", "kind": "controlnet", "name": "a, b: c", "sha256": "ab" * 32},
        {"node": "depth", "port": "controlnet", "kind": "controlnet", "name": "d.safetensors", "sha256": "cd" * 32},
    ]
    return replace(provenance, inputs={**provenance.inputs, "until": 0.75}, assets=(*provenance.assets, *assets))


def test_control_nets_are_told_as_units_of_a1111s_extension() -> None:
    found = parse(describe(with_control_nets(strength=0.5, start=0.25)))
    assert found.fields["ControlNet 0"] == (
        "Module: none, Model: d, Weight: 1, Resize Mode: Just Resize, Guidance Start: 0, Guidance End: 0.75, "
        "Control Mode: Balanced"
    )
    assert found.fields["ControlNet 1"] == (
        "Module: none, Model: a_ b_ c, Weight: 0.5, Resize Mode: Just Resize, Guidance Start: 0.25, Guidance End: 1, "
        "Control Mode: Balanced"
    )
    assert (found.fields["Model"], found.fields["Version"]) == ("nova-nano", "nova-graph 0.1.0")
    assert found.prompt == "1girl, solo <lora:ink:-0.5> <lora:a_b__c:0.25:0.8>"


def test_a_control_net_that_is_turned_off_is_not_told() -> None:
    fields = parse(describe(with_control_nets(strength=0))).fields
    assert [name for name in fields if name.startswith("ControlNet")] == ["ControlNet 0"]
    assert fields["ControlNet 0"].startswith("Module: none, Model: d,")


def test_the_checkpoint_is_the_one_the_sampler_draws_with() -> None:
    provenance = default_provenance()
    nodes = cast("dict[str, dict[str, dict[str, Json]]]", provenance.graph["nodes"])
    nodes["other"] = {"type": "CheckpointLoader", "inputs": {"checkpoint": "other"}}  # type: ignore[dict-item]
    nodes["draft"] = {"type": "Sampler", "inputs": {"model": "$other.model"}}  # type: ignore[dict-item]
    nodes["sampler"]["inputs"]["latents"] = "$draft.latents"
    other: dict[str, Json] = {"node": "other", "port": "checkpoint", "kind": "checkpoint", "name": "o", "sha256": "12"}
    for assets in ((*provenance.assets, other), (other, *provenance.assets)):
        fields = parse(describe(replace(provenance, assets=assets))).fields
        assert (fields["Model"], fields["Model hash"]) == ("nova-nano", CHECKPOINT_SHA[:10])


def test_steps_and_cfg_of_faces_are_said_to_be_their_own() -> None:
    provenance = default_provenance()
    nodes = cast("dict[str, dict[str, dict[str, Json]]]", provenance.graph["nodes"])
    nodes["face/detail"]["inputs"] |= {"steps": 12, "cfg": 4.5}
    fields = parse(describe(provenance)).fields
    assert (fields["ADetailer use separate steps"], fields["ADetailer steps"]) == ("True", "12")
    assert (fields["ADetailer use separate CFG scale"], fields["ADetailer CFG scale"]) == ("True", "4.5")


def test_what_adetailer_leaves_untold_is_told_where_it_is_unusual() -> None:
    provenance = default_provenance()
    nodes = cast("dict[str, dict[str, dict[str, Json]]]", provenance.graph["nodes"])
    usual: list[dict[str, Json]] = [
        {"limit": 0, "keep": "area", "min_ratio": 0.0, "max_ratio": 1.0},
        {"x_offset": 0, "y_offset": 0, "merge": "none"},
    ]
    nodes["face/detect"]["inputs"] |= usual[0]
    nodes["face/detail"]["inputs"] |= usual[1]
    assert describe(provenance) == describe(default_provenance())
    nodes["face/detect"]["inputs"] |= {"limit": 2, "keep": "confidence", "min_ratio": 0.25, "max_ratio": 0.5}
    nodes["face/detail"]["inputs"] |= {"x_offset": 3, "y_offset": -4, "merge": "invert"}
    fields = parse(describe(provenance)).fields
    marks = ("mask m", "mask o", "offset", "top k")
    assert {name: text for name, text in fields.items() if any(mark in name for mark in marks)} == {
        "ADetailer mask only top k": "2",
        "ADetailer method to decide top k masks": "Confidence",
        "ADetailer mask min ratio": "0.25",
        "ADetailer mask max ratio": "0.5",
        "ADetailer x offset": "3",
        "ADetailer y offset": "-4",
        "ADetailer mask merge invert": "Merge and Invert",
    }


def test_denoising_strength_is_told_where_a_picture_was_the_start() -> None:
    provenance = default_provenance()
    nodes = provenance.graph["nodes"]
    assert isinstance(nodes, dict)
    sampler = nodes["sampler"]
    assert isinstance(sampler, dict)
    assert isinstance(sampler["inputs"], dict)
    sampler["inputs"] |= {"latents": "$encode.latents", "denoise": 0.6}
    nodes["encode"] = {"type": "EncodeImage", "inputs": {"vae": "$loader.vae"}}
    assert parse(describe(provenance)).fields["Denoising strength"] == "0.6"


def test_the_second_sampler_of_two_is_the_one_described() -> None:
    provenance = default_provenance()
    nodes = provenance.graph["nodes"]
    assert isinstance(nodes, dict)
    nodes["second"] = {
        "type": "Sampler",
        "inputs": {"latents": "$sampler.latents", "conditioning": "$encoder.conditioning", "steps": 9, "denoise": 0.3},
    }
    nodes["decode"] = {"type": "Decode", "inputs": {"latents": "$second.latents"}}
    found = parse(describe(provenance))
    assert (found.fields["Steps"], found.fields["Denoising strength"]) == ("9", "0.3")
    assert found.prompt == "1girl, solo"


def test_without_a_sampler_there_is_no_text() -> None:
    graph = {"nova": 1, "nodes": {"png": {"type": "Serializer", "inputs": {"image": "$load.image"}}}}
    assert describe(replace(default_provenance(), graph=graph)) == ""  # type: ignore[arg-type]


def test_a_dollar_escape_is_undone() -> None:
    provenance = default_provenance()
    provenance.graph["nodes"]["encoder"]["inputs"]["prompt"] = "$$100 bill"  # type: ignore[index, call-overload]
    assert parse(describe(provenance)).prompt == "$100 bill"


@given(prompt=TEXT, negative=TEXT)
def test_any_prompt_can_be_parsed_back_line_by_line(prompt: str, negative: str) -> None:
    found = parse(describe(default_provenance(prompt, negative)))
    for given_text, read in ((prompt, found.prompt), (negative, found.negative)):
        expected = "".join(
            letter if letter == "\n" or ord(letter) not in {*range(32), 127} else " " for letter in given_text
        )
        assert "".join(read.split()) == "".join(expected.split())
    assert found.fields["Seed"] == "7"


@given(lines=st.lists(st.sampled_from(["Negative prompt: x", "Steps: 99, Seed: 1, Size: 1x1", "cat", "", "\r"])))
def test_a_prompt_cannot_pose_as_the_other_fields(lines: list[str]) -> None:
    found = parse(describe(default_provenance("\n".join(lines))))
    assert found.negative == "lowres"
    assert found.fields["Seed"] == "7"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_values_with_marks_are_quoted(name: str) -> None:
    provenance = default_provenance()
    nodes = provenance.graph["nodes"]
    nodes["face/prompt"]["inputs"]["prompt"] = name.replace("$", "")  # type: ignore[index, call-overload]
    assert parse(describe(provenance)).fields["Version"] == "nova-graph 0.1.0"


def test_plain_names() -> None:
    assert plain_name("/home/me/models/a b.safetensors") == "a b.safetensors"
    assert plain_name(r"C:\Users\me\x.safetensors") == "x.safetensors"
    assert plain_name("~/x") == "x"
    assert plain_name("models/x.safetensors") == "x.safetensors"
    assert plain_name("https://u:p@host/f/x.safetensors?token=secret#y") == "x.safetensors"
    assert plain_name("madebyollin/sdxl-vae-fp16-fix") == "madebyollin/sdxl-vae-fp16-fix"
    assert plain_name("nova-nano") == "nova-nano"

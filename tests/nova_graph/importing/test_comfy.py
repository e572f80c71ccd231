"""ComfyUI's workflows as graphs."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_graph import Runtime, load, run
from nova_graph.cli.exits import UsageError
from nova_graph.cli.opening import every_node
from nova_graph.graph_file import read_graph
from nova_graph.importing import Imported, graph_text, import_graph
from nova_graph.importing.comfy.translate import KNOWN
from nova_graph.importing.draft import whole_steps
from tests.nova_graph.command import ROOT
from tests.nova_graph.importing.workflows import NEGATIVE, PROMPT, Nodes, node, page, plain

BY_HAND = """\
nova: 1
nodes:
  loader:  {type: CheckpointLoader, inputs: {checkpoint: nova-nano}}
  encoder:
    type: Encoder
    inputs:
      text_encoders: $loader.text_encoders
      prompt: "1girl, solo, (blue hair:1.2), smile, $5 #1 artist"
      negative: "lowres, worst quality"
      weighting: comfy
  sampler:
    type: Sampler
    inputs:
      model: $loader.model
      conditioning: $encoder.conditioning
      width: 128
      height: 128
      seed: 7
      steps: 4
      cfg: 5
      sampler: euler
      schedule: karras
  decode:  {type: Decode, inputs: {vae: $loader.vae, latents: $sampler.latents}}
  png:     {type: Serializer, inputs: {image: $decode.image}}
outputs:
  file: $png.file
"""


def imported(tmp_path: Path, workflow: Any, models: Path | None = None) -> Imported:
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(workflow))
    return import_graph(path, models)


def checked(tmp_path: Path, workflow: Any) -> dict[str, Any]:
    """Import a workflow, find no mistake in what is written, and return its nodes' inputs."""
    tree = imported(tmp_path, workflow).tree
    path = tmp_path / "graph.yaml"
    path.write_text(graph_text(tree))
    assert read_graph(path, every_node()).check() == ()
    nodes: Any = tree["nodes"]
    return {name: each.get("inputs", {}) for name, each in nodes.items()}


def refusal(tmp_path: Path, workflow: Any) -> str:
    with pytest.raises(UsageError) as caught:
        imported(tmp_path, workflow)
    return str(caught.value)


def test_it_draws_what_a_graph_by_hand_draws(tmp_path: Path, runtime: Runtime) -> None:
    (tmp_path / "graph.yaml").write_text(graph_text(imported(tmp_path, plain()).tree))
    (tmp_path / "hand.yaml").write_text(BY_HAND)
    drawn = run(load(tmp_path / "graph.yaml", runtime=runtime).plan())
    by_hand = run(load(tmp_path / "hand.yaml", runtime=runtime).plan())
    assert drawn.image.tobytes() == by_hand.image.tobytes()


def test_both_forms_give_one_graph(tmp_path: Path) -> None:
    assert imported(tmp_path, page()).tree == imported(tmp_path, plain()).tree
    assert imported(tmp_path, {"prompt": plain(), "client_id": "x"}).tree == imported(tmp_path, plain()).tree


def test_what_one_wants_to_change_is_an_input(tmp_path: Path) -> None:
    inputs: Any = imported(tmp_path, plain()).tree["inputs"]
    assert inputs["prompt"] == {"type": "string", "default": PROMPT}
    assert inputs["negative"]["default"] == NEGATIVE
    assert inputs["seed"] == {"type": "seed", "default": 7}
    assert {"checkpoint", "width", "height", "steps", "cfg", "sampler", "schedule"} <= set(inputs)


def second_pass(workflow: Nodes) -> Nodes:
    return {
        **workflow,
        "20": node("ImageScaleBy", upscale_method="nearest-exact", scale_by=1.5, image=["8", 0]),
        "21": node("VAEEncode", pixels=["20", 0], vae=["4", 2]),
        "22": node(
            "KSampler",
            **{**workflow["3"]["inputs"], "seed": 8, "steps": 20, "denoise": 0.35, "latent_image": ["21", 0]},
        ),
        "23": node("VAEDecode", samples=["22", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["23", 0]),
    }


def test_a_second_pass_takes_as_many_steps_as_in_comfyui(tmp_path: Path) -> None:
    nodes = checked(tmp_path, second_pass(plain()))
    assert nodes["sampler2"]["latents"] == "$encode.latents"
    assert nodes["sampler2"]["seed"] == 8
    assert nodes["sampler2"]["steps"] == 58
    assert int(58 * 0.35) == 20
    assert nodes["resize"] == {"image": "$decode.image", "method": "nearest", "scale": 1.5}
    assert nodes["encoder"] == checked(tmp_path, plain())["encoder"]


@given(st.integers(1, 150), st.floats(0.01, 1, exclude_max=True))
def test_steps_under_a_denoise_are_all_done(steps: int, denoise: float) -> None:
    found = whole_steps(steps, denoise)
    assert isinstance(found, int)
    assert int(found * denoise) == steps


@pytest.mark.parametrize(("steps", "denoise"), [(20, 1e-300), (7, 3e-20), (10**400, 0.3), (0, 0.5), (-(10**400), 0.5)])
def test_steps_and_denoise_that_no_sampler_takes_are_left_to_the_check(steps: int, denoise: float) -> None:
    assert whole_steps(steps, denoise) == steps


def test_what_a_model_carries_becomes_ports(tmp_path: Path) -> None:
    workflow = plain()
    workflow |= {
        "30": node(
            "LoraLoader",
            lora_name="a\\ink.safetensors",
            strength_model=0.8,
            strength_clip=0.5,
            model=["4", 0],
            clip=["4", 1],
        ),
        "31": node("ModelSamplingDiscrete", sampling="v_prediction", zsnr=True, model=["30", 0]),
        "32": node("RescaleCFG", multiplier=0.7, model=["31", 0]),
        "33": node("PerturbedAttentionGuidance", scale=2.5, model=["32", 0]),
        "34": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["30", 1]),
        "35": node("VAELoader", vae_name="fix.safetensors"),
    }
    workflow["3"]["inputs"]["model"] = ["33", 0]
    workflow["6"]["inputs"]["clip"] = workflow["7"]["inputs"]["clip"] = ["34", 0]
    workflow["8"]["inputs"]["vae"] = ["35", 0]
    nodes = checked(tmp_path, workflow)
    assert nodes["lora"] == {
        "model": "$loader.model",
        "text_encoders": "$loader.text_encoders",
        "lora": "ink",
        "model_strength": 0.8,
        "text_strength": 0.5,
    }
    assert nodes["loader"]["prediction"] == "v_prediction"
    assert nodes["loader"]["zero_terminal_snr"] == "yes"
    assert nodes["sampler"]["model"] == "$lora.model"
    assert nodes["sampler"]["rescale"] == 0.7
    assert nodes["sampler"]["guidance"] == "$pag.guidance"
    assert nodes["encoder"]["text_encoders"] == "$lora.text_encoders"
    assert nodes["encoder"]["clip_skip"] == 2
    assert nodes["vae"] == {"bundled": "$loader.vae", "override": "fix"}


def test_many_loras_in_one_node_become_as_many(tmp_path: Path) -> None:
    workflow = plain()
    rows = {
        "PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"},
        "lora_1": {"on": True, "lora": "sub/ink.safetensors", "strength": 0.8},
        "lora_2": {"on": False, "lora": "off.safetensors", "strength": 1},
        "lora_3": {"on": True, "lora": "None", "strength": 1},
        "lora_4": {"on": True, "lora": "old paper.safetensors", "strength": 0.5, "strengthTwo": 0.25},
    }
    workflow["30"] = node("Power Lora Loader (rgthree)", **rows, model=["4", 0], clip=["4", 1])
    workflow["3"]["inputs"]["model"] = ["30", 0]
    workflow["6"]["inputs"]["clip"] = workflow["7"]["inputs"]["clip"] = ["30", 1]
    nodes = checked(tmp_path, workflow)
    assert nodes["lora"] == {
        "model": "$loader.model",
        "text_encoders": "$loader.text_encoders",
        "lora": "ink",
        "model_strength": 0.8,
        "text_strength": 0.8,
    }
    assert nodes["lora2"] == {
        "model": "$lora.model",
        "text_encoders": "$lora.text_encoders",
        "lora": "old paper",
        "model_strength": 0.5,
        "text_strength": 0.25,
    }
    assert "lora3" not in nodes
    assert nodes["sampler"]["model"] == "$lora2.model"
    assert nodes["encoder"]["text_encoders"] == "$lora2.text_encoders"


def test_many_loras_in_one_node_of_the_page(tmp_path: Path) -> None:
    tree: Any = page()
    (loader,) = (each for each in tree["nodes"] if each["type"] == "LoraLoader")
    row = {"on": True, "lora": "ink.safetensors", "strength": 0.5, "strengthTwo": None}
    loader |= {"type": "Power Lora Loader (rgthree)", "mode": 0}
    loader["widgets_values"] = [{}, {"type": "PowerLoraLoaderHeaderWidget"}, row, {}, ""]
    nodes = checked(tmp_path, tree)
    assert (nodes["lora"]["lora"], nodes["lora"]["model_strength"], nodes["lora"]["text_strength"]) == ("ink", 0.5, 0.5)
    assert nodes["sampler"]["model"] == "$lora.model"


@pytest.mark.parametrize(("held", "seed"), [(7, 7), (-1, "random")])
def test_a_seed_may_be_held_by_another_node(tmp_path: Path, held: int, seed: object) -> None:
    workflow = plain() | {"90": node("Seed (rgthree)", seed=held)}
    workflow["3"]["inputs"]["seed"] = ["90", 0]
    inputs: Any = imported(tmp_path, workflow).tree["inputs"]
    assert inputs["seed"] == {"type": "seed", "default": seed}


def test_samplers_and_faces_whose_seeds_are_drawn_have_inputs_for_them(tmp_path: Path) -> None:
    workflow = second_pass(plain()) | {"90": node("Seed (rgthree)", seed=-1)}
    workflow["3"]["inputs"]["seed"] = workflow["22"]["inputs"]["seed"] = ["90", 0]
    nodes = checked(tmp_path, workflow)
    assert nodes["sampler"]["seed"] == nodes["sampler2"]["seed"] == "$inputs.seed"
    workflow["3"]["inputs"]["seed"] = 7
    nodes = checked(tmp_path, workflow)
    assert (nodes["sampler"]["seed"], nodes["sampler2"]["seed"]) == ("$inputs.seed", "$inputs.random_seed")
    faces = with_faces(seed=["90", 0], cycle=2) | {"90": workflow["90"]}
    nodes = checked(tmp_path, faces)
    assert nodes["detail"]["seed"] == nodes["detail2"]["seed"] == "$inputs.face_seed"
    inputs: Any = imported(tmp_path, faces).tree["inputs"]
    assert inputs["face_seed"] == {"type": "seed", "default": "random"}


def test_upscalers_latents_and_embeddings_have_their_nodes(tmp_path: Path) -> None:
    workflow = second_pass(plain())
    workflow |= {
        "6": node("CLIPTextEncode", text="1girl, embedding:sub/Good.pt, (embedding:bad:0.8)", clip=["4", 1]),
        "60": node("UpscaleModelLoader", model_name="4x-AnimeSharp.pth"),
        "20": node("ImageUpscaleWithModel", upscale_model=["60", 0], image=["8", 0]),
        "61": node("LatentUpscaleBy", upscale_method="bicubic", scale_by=2, samples=["22", 0]),
        "23": node("VAEDecode", samples=["61", 0], vae=["4", 2]),
    }
    nodes = checked(tmp_path, workflow)
    assert nodes["upscale"] == {"image": "$decode.image", "upscaler": "4x-AnimeSharp"}
    assert nodes["encode"]["image"] == "$upscale.image"
    assert nodes["enlarge"] == {"latents": "$sampler2.latents", "method": "bicubic", "scale": 2}
    assert (nodes["embedding"]["word"], nodes["embedding2"]["word"]) == ("Good", "bad")
    assert nodes["encoder"]["text_encoders"] == "$embedding2.text_encoders"
    assert nodes["encoder"]["prompt"] == "$inputs.prompt"


def with_nets(workflow: Nodes) -> Nodes:
    workflow |= {
        "70": node("ControlNetLoader", control_net_name="pose.safetensors"),
        "71": node("LoadImage", image="pose.png"),
        "72": node(
            "ControlNetApplyAdvanced",
            positive=["6", 0],
            negative=["7", 0],
            control_net=["70", 0],
            image=["71", 0],
            strength=0.7,
            start_percent=0.1,
            end_percent=0.8,
        ),
        "73": node("ControlNetApply", conditioning=["72", 0], control_net=["70", 0], image=["71", 0], strength=0.5),
    }
    workflow["3"]["inputs"] |= {"positive": ["73", 0], "negative": ["72", 1]}
    return workflow


def test_control_nets_of_texts_become_those_of_the_model(tmp_path: Path) -> None:
    nodes = checked(tmp_path, with_nets(plain()))
    assert nodes["follow"] == {
        "model": "$loader.model",
        "image": "$load.image",
        "controlnet": "pose",
        "strength": 0.7,
        "start": 0.1,
        "end": 0.8,
    }
    assert nodes["follow2"]["model"] == "$follow.model"
    assert nodes["sampler"]["model"] == "$follow2.model"
    assert nodes["encoder"] == checked(tmp_path, plain())["encoder"]


def test_edges_and_inverted_pictures_are_followed(tmp_path: Path) -> None:
    workflow = with_nets(plain())
    workflow["75"] = node("ImageInvert", image=["71", 0])
    workflow["76"] = node(
        "CannyEdgePreprocessor", image=["75", 0], low_threshold=60, high_threshold=120, resolution=512
    )
    workflow["72"]["inputs"]["image"] = ["76", 0]
    nodes = checked(tmp_path, workflow)
    assert nodes["invert"] == {"image": "$load.image"}
    assert nodes["edges"] == {"image": "$invert.image", "low": 60, "high": 120}
    assert nodes["follow"]["image"] == "$edges.image"


def test_a_union_control_net_is_told_the_kind_of_picture(tmp_path: Path) -> None:
    workflow = with_nets(plain())
    union = node("SetUnionControlNetType", control_net=["70", 0], type="canny/lineart/anime_lineart/mlsd")
    workflow["74"] = union
    workflow["72"]["inputs"]["control_net"] = ["74", 0]
    nodes = checked(tmp_path, workflow)
    assert (nodes["follow"]["controlnet"], nodes["follow"]["kind"]) == ("pose", "line")
    assert "kind" not in nodes["follow2"]
    union["inputs"]["type"] = "auto"
    assert "says 'auto', which cannot be imported" in refusal(tmp_path, workflow)


def test_a_control_net_for_the_negative_prompt_alone_is_told(tmp_path: Path) -> None:
    workflow = with_nets(plain())
    workflow["3"]["inputs"]["positive"] = ["6", 0]
    assert "has a ControlNet for what is to be avoided alone" in refusal(tmp_path, workflow)


FACES: Nodes = {
    "80": node("UltralyticsDetectorProvider", model_name="bbox/face_yolov8m.pt"),
    "81": node(
        "FaceDetailer",
        guide_size=512,
        guide_size_for=True,
        max_size=1024,
        seed=11,
        steps=20,
        cfg=6,
        sampler_name="euler",
        scheduler="karras",
        denoise=0.4,
        feather=5,
        noise_mask=True,
        force_inpaint=True,
        bbox_threshold=0.5,
        bbox_dilation=10,
        bbox_crop_factor=3.0,
        sam_detection_hint="center-1",
        drop_size=10,
        wildcard="",
        cycle=1,
        image=["8", 0],
        model=["4", 0],
        clip=["4", 1],
        vae=["4", 2],
        positive=["6", 0],
        negative=["7", 0],
        bbox_detector=["80", 0],
    ),
    "9": node("SaveImage", images=["81", 0]),
}


def with_faces(**changes: Any) -> Nodes:
    workflow = plain() | FACES
    workflow["81"] = node("FaceDetailer", **workflow["81"]["inputs"] | changes)
    return workflow


def test_the_impact_pack_s_faces_are_refined(tmp_path: Path) -> None:
    nodes = checked(tmp_path, with_faces())
    assert nodes["detect"] == {"image": "$decode.image", "confidence": 0.5}
    assert nodes["detail"] == {
        "image": "$decode.image",
        "boxes": "$detect.boxes",
        "model": "$loader.model",
        "vae": "$loader.vae",
        "conditioning": "$encoder.conditioning",
        "denoise": "$inputs.face_denoise",
        "steps": 50,
        "cfg": 6,
        "sampler": "euler",
        "schedule": "karras",
        "seed": "$inputs.face_seed",
        "padding": 128,
        "mask_blur": 5,
        "dilate": 10,
    }
    assert nodes["png"] == {"image": "$detail.image"}


def test_the_page_s_form_gives_the_same_faces(tmp_path: Path) -> None:
    whole = page()
    values = [512, True, 1024, 11, "fixed", 20, 6, "euler", "karras", 0.4, 5, True, True, 0.5, 10, 3.0]
    values += ["center-1", 0, 0.93, 0, 0.7, "False", 10, "", 1, False, 20, False, False]
    links = {"image": 12, "model": 4, "clip": 3, "vae": 11, "positive": 5, "negative": 6, "bbox_detector": 13}
    ports = [{"name": name, "type": "*", "link": link} for name, link in links.items()]
    detail = {"id": 81, "type": "FaceDetailer", "widgets_values": values, "inputs": ports}
    found = {"id": 80, "type": "UltralyticsDetectorProvider", "widgets_values": ["bbox/face_yolov8m.pt"]}
    kept: Any = whole["nodes"]
    ends = [{**each, "inputs": [{"name": "images", "link": 14}]} if each["id"] == 9 else each for each in kept]
    lines: Any = whole["links"]
    tree = {**whole, "nodes": [*ends, found, detail], "links": [*lines, [13, 80, 0, 81, 6], [14, 81, 0, 9, 0]]}
    assert imported(tmp_path, tree).tree == imported(tmp_path, with_faces()).tree


def test_faces_with_a_prompt_of_their_own_are_refined_in_each_cycle(tmp_path: Path) -> None:
    nodes = checked(tmp_path, with_faces(wildcard="closed eyes", cycle=2))
    assert nodes["encoder2"]["prompt"] == "$inputs.face_prompt"
    assert nodes["encoder2"]["negative"] == "lowres, worst quality"
    assert nodes["detail"]["conditioning"] == nodes["detail2"]["conditioning"] == "$encoder2.conditioning"
    assert (nodes["detail2"]["image"], nodes["detail2"]["seed"]) == ("$detail.image", 12)
    assert len(checked(tmp_path, with_faces(cycle=10**9))) == len(nodes) + 7


@pytest.mark.parametrize("text", ["a [SEP] b", "{red|blue} eyes", "__eyes__", "<lora:ink:1>"])
def test_what_is_more_than_a_prompt_for_faces_is_told(tmp_path: Path, text: str) -> None:
    found = imported(tmp_path, with_faces(wildcard=text))
    assert any("is more than a prompt" in note for note in found.notes)
    assert "encoder2" not in found.tree["nodes"]  # type: ignore[operator]


def test_other_detectors_keep_their_names_and_masks_of_sam_are_told(tmp_path: Path) -> None:
    workflow = with_faces(sam_model_opt=["82", 0])
    workflow["80"] = node("UltralyticsDetectorProvider", model_name="bbox/hand_yolov8s.pt")
    workflow["82"] = node("SAMLoader", model_name="sam_vit_b_01ec64.pth")
    assert checked(tmp_path, workflow)["detect"]["detector"] == "hand_yolov8s"
    assert any("not by their outline" in note for note in imported(tmp_path, workflow).notes)


def test_other_outputs_of_the_detailer_are_told(tmp_path: Path) -> None:
    workflow = with_faces() | {"9": node("SaveImage", images=["83", 0]), "83": node("Reroute", any=["81", 1])}
    assert "FaceDetailer (node 81), of which only the first output" in refusal(tmp_path, workflow)


def test_a_picture_is_repainted_where_its_mask_is(tmp_path: Path) -> None:
    workflow = plain()
    workflow |= {
        "40": node("LoadImage", image="girl.png"),
        "41": node("VAEEncode", pixels=["40", 0], vae=["4", 2]),
        "42": node("SetLatentNoiseMask", samples=["41", 0], mask=["40", 1]),
    }
    workflow["3"]["inputs"] |= {"latent_image": ["42", 0], "denoise": 0.5}
    nodes = checked(tmp_path, workflow)
    assert nodes["load"] == {"picture": "$inputs.picture"}
    assert nodes["sampler"]["latents"] == "$encode.latents"
    assert nodes["sampler"]["mask"] == "$load.mask"
    assert nodes["sampler"]["denoise"] == "$inputs.denoise"


def test_a_repainted_picture_is_laid_over_the_old_one(tmp_path: Path) -> None:
    workflow = plain()
    workflow |= {
        "40": node("LoadImage", image="girl.png"),
        "41": node("VAEEncode", pixels=["40", 0], vae=["4", 2]),
        "42": node("SetLatentNoiseMask", samples=["41", 0], mask=["43", 0]),
        "43": node("LoadImageMask", image="hair.png", channel="red"),
        "44": node(
            "ImageCompositeMasked",
            destination=["40", 0],
            source=["8", 0],
            x=0,
            y=0,
            resize_source=False,
            mask=["43", 0],
        ),
        "9": node("SaveImage", images=["44", 0]),
    }
    workflow["3"]["inputs"] |= {"latent_image": ["42", 0], "denoise": 0.5}
    nodes = checked(tmp_path, workflow)
    assert nodes["paste"] == {"below": "$load.image", "above": "$decode.image", "mask": "$mask.mask", "blur": 0}
    assert nodes["mask"] == {"image": "$load2.image"}
    assert nodes["sampler"]["mask"] == "$mask.mask"
    workflow["43"]["inputs"]["channel"] = "alpha"
    assert checked(tmp_path, workflow)["paste"]["mask"] == "$load2.mask"
    workflow["44"]["inputs"]["x"] = 5
    assert "at 0, 0 only" in refusal(tmp_path, workflow)


def test_files_are_found_in_the_folder_of_models(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "checkpoints" / "anime").mkdir(parents=True)
    (models / "checkpoints" / "anime" / "nova-nano.safetensors").write_bytes(b"")
    inputs: Any = imported(tmp_path, plain(), models).tree["inputs"]
    assert inputs["checkpoint"]["default"] == str(models / "checkpoints" / "anime" / "nova-nano.safetensors")
    found = imported(tmp_path, plain(), tmp_path)
    assert any("nova-nano.safetensors is not in" in note for note in found.notes)


@pytest.mark.parametrize("name", ["/", "a" * 5000, "a\0b"])
def test_names_that_no_file_can_have_are_not_in_the_folder_of_models(tmp_path: Path, name: str) -> None:
    found = imported(tmp_path, plain() | {"4": node("CheckpointLoaderSimple", ckpt_name=name)}, tmp_path)
    assert any(f"{name} is not in" in note for note in found.notes)


def test_a_command_in_a_note_is_only_that_command(tmp_path: Path) -> None:
    name = 'x" $(touch here) `touch here`'
    found = imported(tmp_path, plain() | {"4": node("CheckpointLoaderSimple", ckpt_name=f"{name}.safetensors")})
    (note,) = (note for note in found.notes if "models add" in note)
    words = note.partition(": nova-graph ")[2]
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {words}"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["models", "add", name, "PATH", "--kind", "checkpoint"]
    assert not (tmp_path / "here").exists()


def test_every_node_without_a_counterpart_is_named_at_once(tmp_path: Path) -> None:
    workflow = plain()
    workflow["50"] = node("FreeU_V2", b1=1.3, model=["4", 0])
    workflow["51"] = node("Mystery", conditioning=["6", 0])
    workflow["52"] = node("Unused", model=["4", 0])
    workflow["3"]["inputs"] |= {"model": ["50", 0], "positive": ["51", 0]}
    told = refusal(tmp_path, workflow)
    assert "FreeU_V2 (node 50)" in told
    assert "Mystery (node 51)" in told
    assert "Unused" not in told


LOADER = node("CheckpointLoaderSimple", ckpt_name="nova-nano")


def part_of_a_course(**changes: Any) -> dict[str, Any]:
    whole = {**plain()["3"]["inputs"], "add_noise": "enable", "return_with_leftover_noise": "disable"}
    return node("KSamplerAdvanced", **{**whole, "noise_seed": 7, "end_at_step": 10_000, **changes})


def test_differential_diffusion_is_a_soft_mask(tmp_path: Path) -> None:
    workflow = plain()
    workflow["44"] = node("DifferentialDiffusion", model=["4", 0])
    workflow["3"]["inputs"]["model"] = ["44", 0]
    assert "soft_mask" not in checked(tmp_path, workflow)["sampler"]
    workflow |= {
        "71": node("LoadImage", image="girl.png"),
        "72": node("VAEEncode", pixels=["71", 0], vae=["4", 2]),
        "73": node("SetLatentNoiseMask", samples=["72", 0], mask=["71", 1]),
    }
    workflow["3"]["inputs"]["latent_image"] = ["73", 0]
    nodes = checked(tmp_path, workflow)
    assert (nodes["sampler"]["mask"], nodes["sampler"]["soft_mask"]) == ("$load.mask", True)


def test_samplers_that_share_a_run_do_so_here(tmp_path: Path) -> None:
    first = {"return_with_leftover_noise": "enable", "steps": 20, "end_at_step": 12}
    second = {"add_noise": "disable", "steps": 20, "start_at_step": 12, "latent_image": ["3", 0]}
    workflow = plain() | {"3": part_of_a_course(**first), "33": part_of_a_course(**second)}
    workflow["8"]["inputs"]["samples"] = ["33", 0]
    nodes = checked(tmp_path, workflow)
    assert (nodes["sampler"].get("start_step"), nodes["sampler"]["end_step"]) == (None, 12)
    assert (nodes["sampler2"]["start_step"], nodes["sampler2"].get("end_step")) == (12, None)
    assert nodes["sampler2"]["latents"] == "$sampler.latents"
    workflow["33"] = part_of_a_course(**second, end_at_step=16, return_with_leftover_noise="enable")
    assert checked(tmp_path, workflow)["sampler2"]["end_step"] == 16


@pytest.mark.parametrize(
    "changes",
    [
        {"end_at_step": 12, "steps": 20},
        {"add_noise": "disable"},
        {"start_at_step": 12, "end_at_step": 12, "steps": 20, "return_with_leftover_noise": "enable"},
        {"start_at_step": 20, "steps": 20},
    ],
)
def test_other_parts_of_a_run_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    workflow = plain() | {"3": part_of_a_course(**changes)}
    assert "does a part of a course that Sampler cannot do" in refusal(tmp_path, workflow)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"9": node("SaveImage", images=["77", 0])}, "no node 77"),
        ({"9": node("SaveImage")}, "nothing is connected to images of SaveImage (node 9)"),
        ({"9": node("Note")}, "saves no picture"),
        ({"8": node("Reroute", any=["8", 0])}, "in a circle"),
        ({"8": node("VAEDecode", samples=["5", 0], vae=["4", 2])}, "decodes what no sampler has drawn"),
        ({"8": node("VAEDecode", samples=["4", 0], vae=["4", 2])}, "gives no latents"),
        ({"6": node("CLIPTextEncode", text=["4", 0], clip=["4", 1])}, "is computed by CheckpointLoaderSimple"),
        ({"4": node("CheckpointLoaderSimple")}, "a checkpoint has no name"),
        ({"5": node("EmptyLatentImage", width=[[8]], height=64)}, "width of EmptyLatentImage (node 5) is neither"),
        ({"4": node("ModelSamplingDiscrete", sampling={}, model=["44", 0]), "44": LOADER}, "sampling of ModelSampling"),
        (
            {
                "4": node(
                    "Power Lora Loader (rgthree)", lora_1={"on": True, "lora": "x", "strength": []}, model=["44", 0]
                ),
                "44": LOADER,
            },
            "lora_1 of Power Lora Loader (rgthree) (node 4) is neither",
        ),
        ({"3": part_of_a_course(steps=0, start_at_step=-1)}, "does a part of a course"),
        ({"3": part_of_a_course(steps=20, start_at_step=-(10**400))}, "does a part of a course"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, change: Nodes, words: str) -> None:
    assert words in refusal(tmp_path, {**plain(), **change})


def test_a_sampler_that_feeds_itself_is_told(tmp_path: Path) -> None:
    workflow = plain()
    workflow["5"] = node("SetLatentNoiseMask", samples=["3", 0], mask=["40", 1])
    workflow["40"] = node("LoadImage", image="girl.png")
    assert "in a circle, or is too deep" in refusal(tmp_path, workflow)


def test_long_chains_of_nodes_that_only_pass_on_are_followed_once(tmp_path: Path) -> None:
    """Walked anew from each of them, these would take hours."""
    many = 50_000
    chain = {f"r{place}": node("Reroute", any=[f"r{place + 1}", 0]) for place in range(many)}
    workflow = plain() | chain | {f"r{many}": node("Reroute", any=["8", 0]), "9": node("SaveImage", images=["r0", 0])}
    assert imported(tmp_path, workflow).tree == imported(tmp_path, plain()).tree


def test_a_chain_of_bypassed_nodes_is_passed_over(tmp_path: Path) -> None:
    tree: Any = page()
    many = 20_000
    for place in range(many):
        ports = [{"name": "images", "type": "IMAGE", "link": 1000 + place}]
        number = 1001 + place
        tree["nodes"].append({"id": number, "mode": 4, "type": "X", "inputs": ports, "outputs": [{"type": "IMAGE"}]})
        tree["links"].append([number, number, 0, number + 1, 0])
        tree["nodes"].append({"id": 50_000 + place, "type": "X", "inputs": [{"name": "x", "link": number}]})
    tree["links"].append([1000, 8, 0, 1001, 0])
    for each in tree["nodes"]:
        if each["id"] == 9:
            each["inputs"] = [{"name": "images", "link": 1000 + many}]
    assert imported(tmp_path, tree).tree == imported(tmp_path, page()).tree


@pytest.mark.parametrize(("many", "last"), [(101, "6"), (2, "c0")])
def test_a_text_has_so_many_control_nets_at_most(tmp_path: Path, many: int, last: str) -> None:
    workflow = with_nets(plain())
    for place in range(many):
        behind = f"c{place + 1}" if place + 1 < many else last
        workflow[f"c{place}"] = node(
            "ControlNetApply", conditioning=[behind, 0], control_net=["70", 0], image=["71", 0]
        )
    workflow["3"]["inputs"] |= {"positive": ["c0", 0], "negative": ["7", 0]}
    assert "more than 100 ControlNets, or they go in a circle" in refusal(tmp_path, workflow)


def test_a_graph_gets_no_more_nodes_than_it_may_have(tmp_path: Path) -> None:
    rows = {f"lora_{place}": {"on": True, "lora": f"x{place}", "strength": 1} for place in range(20_001)}
    workflow = plain() | {"30": node("Power Lora Loader (rgthree)", **rows, model=["4", 0], clip=["4", 1])}
    workflow["3"]["inputs"]["model"] = ["30", 0]
    assert "more than 20,000 nodes" in refusal(tmp_path, workflow)


@pytest.mark.parametrize(
    "text", ["{}", "{", '{"nodes": 3}', '{"a": {"class_type": "SaveImage"}, "b": 1}', "{" * 100_000, '{"a":' * 100_000]
)
def test_what_is_no_workflow_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "workflow.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        import_graph(path)


def test_subgraphs_are_asked_for_unpacked(tmp_path: Path) -> None:
    assert "Export (API)" in refusal(tmp_path, {**page(), "definitions": {"subgraphs": [{}]}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ports = st.sampled_from(["model", "clip", "positive", "samples", "images", "text", "steps", "denoise", "latent_image"])
links = st.tuples(st.sampled_from(["3", "4", "5", "6", "7", "8"]), st.integers(0, 2)).map(list)


@given(st.sampled_from(sorted(plain())), st.dictionaries(ports, links | json_values, max_size=4))
def test_a_stranger_s_workflow_gives_a_graph_or_an_error(name: str, inputs: dict[str, Any]) -> None:
    from nova_graph.importing import comfy
    from nova_graph.importing.comfy.workflow import read_workflow

    workflow = plain()
    workflow[name]["inputs"] |= inputs
    try:
        tree = comfy.translate(read_workflow(json.dumps(workflow), "it"), "it", None).tree()
    except UsageError:
        return
    assert graph_text(tree).startswith("nova: 1")


def test_the_guide_names_the_nodes_that_are_known() -> None:
    table = (ROOT / "docs" / "importing.md").read_text().partition("| nodes | become |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w ()]+)`", row.split("|")[1])}
    assert named == KNOWN

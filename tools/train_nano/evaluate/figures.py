"""Every figure of the model card, measured on one checkpoint."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch

from nodes.sdxl.configuration import configuration_of
from nodes.sdxl.detector_file import read_safetensors
from nodes.sdxl.header import read_header
from nodes.sdxl.layout import vae_places
from nodes.sdxl.vae import empty_vae
from nodes.sdxl.weights import fill, open_weights
from nova_graph import Runtime
from tools.train_nano.evaluate import effects
from tools.train_nano.evaluate.judge import Judged, Share, attribute_shares
from tools.train_nano.evaluate.precision import Found, average_precision
from tools.train_nano.evaluate.probes import Probes, train_probes
from tools.train_nano.evaluate.prompts import held_out_scenes, of_framing
from tools.train_nano.evaluate.studio import Drawn, Pixels, Studio
from tools.train_nano.render.captions import full_caption
from tools.train_nano.render.picture import render
from tools.train_nano.render.placement import face_boxes, place_heads
from tools.train_nano.render.scene import Scene
from tools.train_nano.training import Watcher
from tools.train_nano.vae import measure_vae

LEAST_CONFIDENCE: Final = 0.01
RENDERED_SALT: Final = "renders to measure"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is drawn and learnt for an evaluation."""

    prompts: int
    effect_cases: int
    renders: int
    probe_steps: int


@dataclass
class Measured:
    """What was measured, and pictures to look at."""

    native: int
    shares: dict[str, Share]
    bounds: dict[str, Share]
    numbers: dict[str, float]
    scenes: tuple[Scene, ...] = ()
    drawn: list[Drawn] = field(default_factory=list)
    detailed: list[Drawn] = field(default_factory=list)


def measure(runtime: Runtime, checkpoint: Path, detector: Path, size: Size, work: Path, watch: Watcher) -> Measured:
    """Measure a checkpoint and its detector; probes are kept in `work`."""
    native = configuration_of(read_header(checkpoint)).unet.sample_size * 8
    probes = train_probes(work, native, size.renders, size.probe_steps, watch)
    studio = Studio(runtime, checkpoint, detector)
    scenes = held_out_scenes(size.prompts)
    bounds = attribute_shares([_as_render(scene, native, probes) for scene in scenes])
    drawn: list[Drawn] = []
    for seed, scene in enumerate(scenes):
        drawn.append(studio.draw(full_caption(scene), seed))
        watch("drawing", len(drawn) / len(scenes), {})
    judged = [effects.judged(scene, picture, probes) for scene, picture in zip(scenes, drawn, strict=True)]
    measured = Measured(native, attribute_shares(judged), bounds, {}, scenes, drawn)
    measured.numbers["seconds per picture"] = statistics.median(picture.seconds for picture in drawn)
    held_out = held_out_scenes(min(128, 2 * size.prompts), RENDERED_SALT)
    rendered = [render(scene, native) for scene in held_out]
    measured.numbers |= vae_figures(checkpoint, np.stack(rendered))
    measured.numbers["detector mAP50 on renders"] = detector_precision(detector, held_out, rendered)
    _measure_effects(measured, studio, probes, size)
    return measured


def _measure_effects(measured: Measured, studio: Studio, probes: Probes, size: Size) -> None:
    few = size.effect_cases
    close = of_framing(measured.scenes, "close-up")[:few]
    measured.shares["weights 1.4 and 0.7 act the right way"] = effects.weight_effect(studio, probes, close)
    pag = effects.pag_effect(studio, probes, measured.drawn[:few], measured.scenes[:few])
    measured.numbers |= {f"PAG: {name}": value for name, value in pag.items()}
    measured.shares["bad quality tags make pictures less sharp"] = effects.quality_effect(studio, close)
    told = effects.size_effect(studio, close, measured.native)
    measured.shares["a small original size makes pictures less sharp"] = told
    whole = of_framing(measured.scenes, "full body")[:few]
    detailed, measured.detailed = effects.detailer_effect(studio, probes, whole)
    measured.shares["detailer: face sharper, colours kept (full body)"] = detailed


def _as_render(scene: Scene, native: int, probes: Probes) -> Judged:
    """Return the scene's own render as the probes see it, with the true face."""
    left, top, right, bottom = (native * side for side in place_heads(scene)[0].face)
    return Judged(scene, probes.read(render(scene, native), (left, top, right, bottom)), len(face_boxes(scene)))


def vae_figures(checkpoint: Path, pixels: Pixels) -> dict[str, float]:
    """Return PSNR and eigenvalues of the checkpoint's VAE on pictures [count, edge, edge, 3]."""
    config = configuration_of(read_header(checkpoint)).vae
    vae = empty_vae(config)
    places = vae_places(vae.state_dict().keys(), len(config.block_out_channels))
    with open_weights(checkpoint) as file:
        fill(vae, places, file, torch.device("cpu"), torch.float32)
    return {f"VAE {name}": value for name, value in measure_vae(vae, pixels, torch.device("cpu")).items()}


def detector_precision(detector: Path, scenes: Sequence[Scene], pictures: Sequence[Pixels]) -> float:
    """Return the detector's mAP50 on renders."""
    from nodes.sdxl.detector import LiveDetector

    network, size = read_safetensors(detector, detector.name)
    live = LiveDetector(network, size)
    found: list[list[Found]] = []
    for picture in pictures:
        edge = picture.shape[0]
        boxes = live.find(picture, LEAST_CONFIDENCE)
        found.append(
            [(box.confidence, (box.left / edge, box.top / edge, box.right / edge, box.bottom / edge)) for box in boxes]
        )
    return average_precision(found, [face_boxes(scene) for scene in scenes])

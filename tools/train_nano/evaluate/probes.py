"""Two small networks that read attributes from pictures; trained on renders alone, never on what a model drew."""

import random
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from tools.train_nano.checkpoint import load_state, save_state
from tools.train_nano.config import Budget, Rates
from tools.train_nano.evaluate.prompts import girl, held_out_scenes
from tools.train_nano.evaluate.studio import Pixels
from tools.train_nano.render.palette import BACKGROUND, EYES, HAIR
from tools.train_nano.render.placement import Box, place_heads
from tools.train_nano.render.scene import ACCESSORIES, FRAMINGS, MOUTHS, STYLES, Scene
from tools.train_nano.training import Batch, Moment, Training, Watcher

EDGE: Final = 64
FACE_MARGIN: Final = 1.45
BATCH: Final = 48
YES_NO: Final = ("no", "yes")
PICTURE_HEADS: Final[dict[str, tuple[str, ...]]] = {
    "hair": tuple(HAIR),
    "background": tuple(BACKGROUND),
    "style": STYLES,
    "framing": FRAMINGS,
    **{accessory: YES_NO for accessory in ACCESSORIES if accessory != "glasses"},
}
FACE_HEADS: Final[dict[str, tuple[str, ...]]] = {
    "eyes": tuple(EYES),
    "closed": YES_NO,
    "mouth": MOUTHS,
    "glasses": YES_NO,
}


def labels_of(scene: Scene) -> dict[str, str]:
    """Return what a perfect probe would read from a scene."""
    character = girl(scene)
    accessories = {name: YES_NO[name in character.accessories] for name in ACCESSORIES}
    looks = {"hair": character.hair, "style": character.style, "eyes": character.eyes, "mouth": character.mouth}
    closed = YES_NO[character.eyes_closed]
    return {**accessories, **looks, "closed": closed, "background": scene.background, "framing": scene.framing}


class Probe(nn.Module):
    """A convolutional network with one linear reading for each attribute."""

    def __init__(self, heads: dict[str, tuple[str, ...]]) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 128)
        layers: list[nn.Module] = []
        for number, (given, made) in enumerate(pairwise(widths)):
            size = 5 if number == 0 else 3
            layers += [nn.Conv2d(given, made, size, 2, size // 2), nn.BatchNorm2d(made), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 16, 160), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(160, len(values)) for name, values in heads.items()})
        self.values = heads

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the scores of each attribute's values for pictures [batch, 3, 64, 64] of -1..1."""
        seen = self.body(pictures)
        return {name: head(seen) for name, head in self.heads.items()}


def whole(pixels: Pixels) -> Pixels:
    """Return a picture as the picture probe sees it."""
    return np.asarray(Image.fromarray(pixels).resize((EDGE, EDGE), Image.Resampling.BOX))


def face_cut(pixels: Pixels, box: Box) -> Pixels:
    """Return a face with what is around it, as the face probe sees it; `box` in pixels."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    half = FACE_MARGIN * max(right - left, bottom - top) / 2
    cut = (x - half, y - half, x + half, y + half)
    picture = Image.fromarray(pixels)
    return np.asarray(picture.transform((EDGE, EDGE), Image.Transform.EXTENT, cut, Image.Resampling.BILINEAR))


class ProbeBatches(Dataset[Batch]):
    """Batches of renders as the two probes see them, with their labels."""

    def __init__(self, edge: int, count: int) -> None:
        from tools.train_nano.render.picture import render

        scenes = held_out_scenes(count, "probes")
        lot = random.Random("faces")
        wholes, faces = [], []
        for scene in scenes:
            pixels = render(scene, edge)
            wholes.append(whole(pixels))
            faces.append(face_cut(pixels, _shaken(place_heads(scene)[0].face, edge, lot)))
        self.pixels = {"picture": np.stack(wholes), "face": np.stack(faces)}
        labels = [labels_of(scene) for scene in scenes]
        heads = {**PICTURE_HEADS, **FACE_HEADS}
        self.labels = {
            name: torch.tensor([values.index(label[name]) for label in labels]) for name, values in heads.items()
        }

    def __getitem__(self, step: int) -> Batch:
        """Return batch `step`."""
        lot = np.random.default_rng(step)
        chosen = lot.integers(0, len(self.labels["hair"]), BATCH)
        pictures = {name: torch.from_numpy(pixels[chosen]) for name, pixels in self.pixels.items()}
        return {**pictures, **{name: values[chosen] for name, values in self.labels.items()}}


def _shaken(box: Box, edge: int, lot: random.Random) -> Box:
    """Return a box in pixels, a little off, as a detector's are."""
    width = box[2] - box[0]
    left, top, right, bottom = (edge * (side + lot.gauss(0, 0.05) * width) for side in box)
    return left, top, right, bottom


class ProbeLoss:
    """Read every attribute; pictures are tinted, blurred and made noisy, since drawn ones are less clean."""

    def __init__(self, picture: Probe, face: Probe) -> None:
        self.probes = {"picture": picture, "face": face}

    def __call__(self, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch."""
        total = torch.zeros((), device=batch["picture"].device)
        for name, probe in self.probes.items():
            for attribute, scores in probe(_worn(batch[name], moment.lot)).items():
                error = functional.cross_entropy(scores, batch[attribute], reduction="none")
                if attribute == "eyes":
                    error = error * (batch["closed"] == 0)
                total = total + error.mean()
        return total, {"loss": total}


def _worn(pixels: Tensor, lot: torch.Generator) -> Tensor:
    pictures = as_input(pixels)
    count, device = len(pictures), pictures.device
    pictures = pictures * (1 + 0.1 * torch.randn((count, 1, 1, 1), generator=lot, device=device))
    pictures = pictures + 0.06 * torch.randn((count, 3, 1, 1), generator=lot, device=device)
    level = 0.06 * torch.rand((count, 1, 1, 1), generator=lot, device=device)
    pictures = pictures + level * torch.randn(pictures.shape, generator=lot, device=device)
    blurred = torch.rand((count, 1, 1, 1), generator=lot, device=device) < 0.35
    return torch.where(blurred, functional.avg_pool2d(pictures, 3, 1, 1), pictures)


def as_input(pixels: Tensor) -> Tensor:
    """Return pixels [batch, height, width, 3] of uint8 as numbers [batch, 3, height, width] from -1 to 1."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True, slots=True)
class Probes:
    """The two trained probes."""

    picture: Probe
    face: Probe

    @torch.no_grad()
    def read(self, pixels: Pixels, face: Box | None) -> dict[str, dict[str, float]]:
        """Return the log probability of each value of each attribute; those of the face only where there is a box.

        Logarithms, since probabilities of two pictures that are both all of one colour would both be 0 and 1.
        """
        told = _log_probabilities(self.picture, whole(pixels))
        return told if face is None else {**told, **_log_probabilities(self.face, face_cut(pixels, face))}


def _log_probabilities(probe: Probe, pixels: Pixels) -> dict[str, dict[str, float]]:
    scores = probe(as_input(torch.from_numpy(np.array(pixels))[None]))
    logs = {name: rows[0].double().log_softmax(0).tolist() for name, rows in scores.items()}
    return {name: dict(zip(probe.values[name], rows, strict=True)) for name, rows in logs.items()}


def train_probes(folder: Path, edge: int, renders: int, steps: int, watch: Watcher) -> Probes:
    """Return probes for pictures of an edge, trained on renders unless they lie in the folder."""
    torch.manual_seed(0)
    probes = Probes(Probe(PICTURE_HEADS), Probe(FACE_HEADS))
    networks: dict[str, nn.Module] = {"picture": probes.picture, "face": probes.face}
    path = folder / f"probes-{edge}-{renders}-{steps}.pt"
    if path.exists():
        state = load_state(path)
        for name, network in networks.items():
            network.load_state_dict(state[name])
            network.eval()
        return probes
    training = Training(
        name="probes", networks=networks, budget=Budget(steps), rates=Rates(muon=2e-3, adam=2e-3), seed=5,
        device=torch.device("cpu"), path=folder / f"probes-{edge}.training.pt", save_every=60, average=0.99,
        adam_only=("body", "heads"),
    )  # fmt: skip
    training.run(ProbeBatches(edge, renders), ProbeLoss(probes.picture, probes.face), watch)
    save_state(path, {name: network.state_dict() for name, network in networks.items()})
    return probes

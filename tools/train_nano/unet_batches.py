"""What the UNet is told of each picture: a new caption at each visit, sizes and crop, where the faces are."""

import random
from typing import Final

import torch
from torch.utils.data import Dataset

from tools.train_nano.data import Pictures
from tools.train_nano.faces import padded
from tools.train_nano.render.captions import training_caption
from tools.train_nano.render.placement import face_boxes
from tools.train_nano.render.scene import Scene
from tools.train_nano.text import make_tokenizer, tokenize
from tools.train_nano.training import Batch

EMPTY: Final = 0.07
ZEROED: Final = 0.04
LARGER: Final = 0.35
LARGER_SIZES: Final = (1.5, 2, 4, 6, 8, 12)
LOW_SIZE_TOLD: Final = 0.6


class UNetBatches(Dataset[Batch]):
    """Item k is the batch of step k; epochs are permutations of all training pictures."""

    def __init__(self, pictures: Pictures, native: int, batch: int, seed: int) -> None:
        self.pictures, self.native, self.batch, self.seed = pictures, native, batch, seed
        self.tokenizer = make_tokenizer()
        self._epoch: tuple[int, torch.Tensor] = (-1, torch.empty(0))

    def __getitem__(self, step: int) -> Batch:
        """Return `numbers`, `tokens` (a row more: the empty text), `kept`, `sizes` and `boxes` of a step."""
        lot = random.Random(f"unet {self.seed} {step}")
        numbers = [self._number(step * self.batch + place) for place in range(self.batch)]
        scenes = [self.pictures.scene(number) for number in numbers]
        captions, kept = [], []
        for scene in scenes:
            fate = lot.random()
            captions.append("" if fate < EMPTY + ZEROED else training_caption(scene, lot))
            kept.append(0.0 if fate < ZEROED else 1.0)
        return {
            "numbers": torch.tensor(numbers),
            "tokens": tokenize(self.tokenizer, [*captions, ""]),
            "kept": torch.tensor(kept),
            "sizes": torch.tensor([told_sizes(scene, self.native, lot) for scene in scenes]),
            "boxes": torch.tensor([padded(face_boxes(scene)) for scene in scenes]),
        }

    def _number(self, visit: int) -> int:
        epoch, place = divmod(visit, self.pictures.train)
        if self._epoch[0] != epoch:
            order = torch.Generator().manual_seed(self.seed * 7919 + epoch)
            self._epoch = (epoch, torch.randperm(self.pictures.train, generator=order))
        return int(self._epoch[1][place])


def told_sizes(scene: Scene, native: int, lot: random.Random) -> list[float]:
    """Return SDXL's micro-conditioning: original (height, width), crop (top, left), target (height, width).

    Blurred pictures mostly admit their true size, others sometimes claim to come from a larger one.
    """
    original, target = float(native), float(native)
    if scene.defect == "blurry":
        if lot.random() < LOW_SIZE_TOLD:
            original = float(int(native * scene.defect_strength))
    elif scene.defect is None and lot.random() < LARGER:
        original = native * lot.choice(LARGER_SIZES)
        target = original if lot.random() < 0.4 else target
    left, top = (round(share * native) for share in scene.crop)
    return [original, original, float(top), float(left), target, target]

"""The stages of a run, each of which continues where it was cut."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from tools.train_nano.checkpoint import load_state, replacing, save_state
from tools.train_nano.config import Budget, Config, Rates
from tools.train_nano.data import Pictures, render_pictures
from tools.train_nano.detector import clear_examples, train_detector, write_detector
from tools.train_nano.export import about, training_commit, write_checkpoint
from tools.train_nano.start import read_start
from tools.train_nano.text import CaptionBatches, TagHeads, TextLoss, TextPair, make_text_pair
from tools.train_nano.tokenizer import tokenizer_config
from tools.train_nano.training import Training, Watcher
from tools.train_nano.unet import UNetLoss, make_unet
from tools.train_nano.unet_batches import UNetBatches
from tools.train_nano.vae import VaeBatches, VaeLoss, encode_all, make_vae, measure_vae
from tools.train_nano.whitening import apply_whitening, find_whitening, fold_whitening

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel

Figures = dict[str, float]
CHECKPOINT: Final = "nova-nano.safetensors"
DETECTOR: Final = "face.safetensors"
STARTING_UNET: Final = "unet.start.pt"


@dataclass
class Run:
    """One run in one folder: everything that the stages hand to each other is a file in it."""

    config: Config
    folder: Path
    device: torch.device
    watch: Watcher
    commit: str = field(default_factory=training_commit)
    start: Path | None = None
    """A checkpoint to train further; None trains from nothing."""

    @cached_property
    def pictures(self) -> Pictures:
        """The rendered pictures."""
        return render_pictures(self.config, self.folder)

    def path(self, name: str) -> Path:
        """Return where a file of this run lies."""
        return self.folder / name

    def training(
        self,
        name: str,
        networks: Mapping[str, torch.nn.Module],
        budget: Budget,
        rates: Rates,
        *,
        average: float = 0.995,
        slower: Mapping[str, tuple[float, float]] | None = None,
    ) -> Training:
        """Return the training of a stage, continued if it was begun."""
        return Training(
            name=name,
            networks=networks,
            budget=budget,
            rates=rates,
            seed=self.config.seed,
            device=self.device,
            path=self.path(f"{name}.training.pt"),
            save_every=self.config.save_every,
            average=average,
            slower=slower or {},
        )

    def held_out(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the pixels of the held-out pictures."""
        return self.pictures.pixels()[self.pictures.train :]

    def make_vae(self, saved: str | None = None) -> "AutoencoderKL":
        """Return the VAE, with the weights of a stage."""
        torch.manual_seed(self.config.seed)
        vae = make_vae(self.config.vae, self.config.native)
        if saved is not None:
            state = load_state(self.path(saved))
            vae.load_state_dict(state["vae"])
            vae.register_to_config(scaling_factor=state["factor"])
        return vae.to(self.device, memory_format=torch.channels_last)

    def make_text(self) -> TextPair:
        """Return untrained text encoders."""
        from tools.train_nano.text import make_tokenizer

        torch.manual_seed(self.config.seed + 1)
        pair = make_text_pair(self.config.text, len(make_tokenizer()))
        return TextPair(pair.first.to(self.device), pair.second.to(self.device), pair.end)

    def make_unet(self) -> "UNet2DConditionModel":
        """Return an untrained UNet."""
        torch.manual_seed(self.config.seed + 2)
        return make_unet(self.config).to(self.device, memory_format=torch.channels_last)


def render_stage(run: Run) -> Figures:
    """Render the pictures."""
    pictures = run.pictures
    return {"pictures": pictures.train + pictures.held_out, "edge": run.config.native}


def vae_stage(run: Run) -> Figures:
    """Train the VAE, whiten its latents, and write both."""
    config, vae = run.config, run.make_vae()
    training = run.training("vae", {"vae": vae}, config.vae.budget, config.vae.rates)
    batches = VaeBatches(run.pictures, config.vae, config.seed, config.vae.whole_share)
    training.run(batches, VaeLoss(vae, config.vae, decoder_only=False), run.watch, config.workers)
    pixels = run.pictures.pixels()
    latents = encode_all(vae, pixels[: run.pictures.train], run.device)
    whitening = find_whitening(latents)
    before = measure_vae(vae, run.held_out(), run.device)
    fold_whitening(vae, whitening)
    _save_latents(run, apply_whitening(latents, whitening))
    _save_vae(run, "vae.pt", vae)
    return {"steps": training.step, "seconds": training.seconds, **before}


def start_stage(run: Run) -> Figures:
    """Take VAE, text encoders and UNet from the checkpoint to start from."""
    if run.start is None:
        raise ValueError("there is no checkpoint to start from")
    start = read_start(run.start, run.config, tokenizer_config())
    save_state(run.path("vae.pt"), {"vae": start.vae, "factor": start.factor})
    save_state(run.path("text.pt"), {"first": start.first, "second": start.second})
    save_state(run.path(STARTING_UNET), {"unet": start.unet})
    return measure_vae(run.make_vae("vae.pt"), run.held_out(), run.device)


def vae_further_stage(run: Run) -> Figures:
    """Train the VAE of the checkpoint to start from further, its latents held near what they were; then encode."""
    config, vae, anchor = run.config, run.make_vae("vae.pt"), run.make_vae("vae.pt").requires_grad_(requires_grad=False)
    factor = float(vae.config.scaling_factor)
    training = run.training("vae", {"vae": vae}, config.vae.budget, config.vae.rates)
    batches = VaeBatches(run.pictures, config.vae, config.seed, config.vae.whole_share)
    loss = VaeLoss(vae, config.vae, decoder_only=False, factor=factor, anchor=anchor)
    training.run(batches, loss, run.watch, config.workers)
    _save_vae(run, "vae.pt", vae)
    _save_latents(run, encode_all(vae, run.pictures.pixels()[: run.pictures.train], run.device) * factor)
    return {"steps": training.step, "seconds": training.seconds, **measure_vae(vae, run.held_out(), run.device)}


def decoder_stage(run: Run) -> Figures:
    """Train the decoder alone on whole pictures; the latents keep their meaning."""
    config, vae = run.config, run.make_vae("vae.pt")
    vae.encoder.requires_grad_(requires_grad=False)
    vae.quant_conv.requires_grad_(requires_grad=False)
    networks = {"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv}
    training = run.training("decoder", networks, config.decoder, config.vae.rates)
    batches = VaeBatches(run.pictures, config.vae, config.seed + 10, 0.5)
    loss = VaeLoss(vae, config.vae, decoder_only=True, factor=float(vae.config.scaling_factor))
    training.run(batches, loss, run.watch, config.workers)
    _save_vae(run, "decoder.pt", vae)
    return {"steps": training.step, "seconds": training.seconds, **measure_vae(vae, run.held_out(), run.device)}


def text_stage(run: Run) -> Figures:
    """Train the text encoders on captions."""
    config, pair = run.config, run.make_text()
    batches = CaptionBatches(config.text.batch, config.seed)
    heads = TagHeads(config.text, len(batches.tags)).to(run.device)
    networks = {"first": pair.first, "second": pair.second, "heads": heads}
    training = run.training("text", networks, config.text.budget, config.text.rates)
    training.run(batches, TextLoss(pair, heads), run.watch, config.workers)
    save_state(run.path("text.pt"), {"first": pair.first.state_dict(), "second": pair.second.state_dict()})
    return {"steps": training.step, "seconds": training.seconds, **training.figures}


def unet_stage(run: Run) -> Figures:
    """Train the UNet on the latents, and in the later part the text encoders with it."""
    config, unet, pair = run.config, run.make_unet(), run.make_text()
    _load_text(pair, run.path("text.pt"))
    if run.start is not None:
        unet.load_state_dict(load_state(run.path(STARTING_UNET))["unet"])
    joint = config.unet.text_from < 1
    networks: dict[str, torch.nn.Module] = {"unet": unet}
    if joint:
        networks |= {"first": pair.first, "second": pair.second}
    share = (config.unet.text_from, config.unet.text_share)
    stage = config.unet
    slower = {"first": share, "second": share}
    training = run.training("unet", networks, stage.budget, stage.rates, average=stage.average, slower=slower)
    latents = torch.from_numpy(np.load(run.path("latents.npy"))).to(run.device)
    batches = UNetBatches(run.pictures, config.native, config.unet.batch, config.seed)
    training.run(batches, UNetLoss(unet, pair, latents, config), run.watch, config.workers)
    state = {"unet": unet.state_dict(), "first": pair.first.state_dict(), "second": pair.second.state_dict()}
    save_state(run.path("unet.pt"), state)
    return {"steps": training.step, "seconds": training.seconds, **training.figures}


def detector_stage(run: Run) -> Figures:
    """Train the face detector and write it."""
    stage, folder = run.config.detector, run.path("detector")
    weights, figures = train_detector(run.pictures, stage, folder, run.device, run.config.workers)
    told = {"title": f"{run.config.title} face detector", **about(run.config, run.commit)}
    write_detector(run.path(DETECTOR), weights, stage, told)
    clear_examples(folder)
    return figures


def export_stage(run: Run) -> Figures:
    """Write the checkpoint; the sizes are those of the files that a package would carry."""
    unet, pair, vae = run.make_unet(), run.make_text(), run.make_vae("decoder.pt")
    unet.load_state_dict(load_state(run.path("unet.pt"))["unet"])
    _load_text(pair, run.path("unet.pt"))
    path = run.path(CHECKPOINT)
    write_checkpoint(path, run.config, unet, pair, vae, run.commit)
    sizes = [run.path(name).stat().st_size / 1e6 for name in (CHECKPOINT, DETECTOR)]
    return {"checkpoint MB": sizes[0], "detector MB": sizes[1], "together MB": sum(sizes)}


def _save_vae(run: Run, name: str, vae: "AutoencoderKL") -> None:
    save_state(run.path(name), {"vae": vae.state_dict(), "factor": float(vae.config.scaling_factor)})


def _save_latents(run: Run, latents: torch.Tensor) -> None:
    with replacing(run.path("latents.npy")) as fresh, fresh.open("wb") as file:
        np.save(file, latents.half().numpy())


def _load_text(pair: TextPair, path: Path) -> None:
    state = load_state(path)
    pair.first.load_state_dict(state["first"])
    pair.second.load_state_dict(state["second"])


Stages = dict[str, Callable[[Run], Figures]]
STAGES: Final[Stages] = {
    "render": render_stage,
    "vae": vae_stage,
    "decoder": decoder_stage,
    "text": text_stage,
    "unet": unet_stage,
    "detector": detector_stage,
    "export": export_stage,
}
FURTHER: Final[Stages] = {
    "render": render_stage,
    "start": start_stage,
    "vae": vae_further_stage,
    "decoder": decoder_stage,
    "unet": unet_stage,
    "detector": detector_stage,
    "export": export_stage,
}
"""The stages of a run that trains a checkpoint further."""

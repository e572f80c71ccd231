"""The trained parts as one checkpoint file, as people download them."""

import datetime
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from nodes.sdxl.configuration import SchedulerConfig
from tools.single_file import configuration_metadata, describe, model_spec, single_file_tensors, write_safetensors
from tools.train_nano.checkpoint import replacing
from tools.train_nano.config import Config
from tools.train_nano.text import TextPair
from tools.train_nano.tokenizer import tokenizer_config

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel

AUTHOR: Final = "nova-graph project"
LICENSE: Final = "Apache-2.0"


def about(config: Config, commit: str) -> dict[str, str]:
    """Return what the metadata of both files say alike."""
    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.now(datetime.UTC)
    when = datetime.datetime.fromtimestamp(int(stamp), datetime.UTC) if stamp else now
    told = {"author": AUTHOR, "license": LICENSE, "date": when.date().isoformat(), "training_commit": commit}
    further = {"training_start": config.start} if config.start else {}
    return {**told, "training_preset": config.name, **further}


def training_commit() -> str:
    """Return the commit that trains, with `+` if files were changed since; TRAINING_COMMIT says it without git."""
    told = os.environ.get("TRAINING_COMMIT")
    if told:
        return told
    here = Path(__file__).parent
    try:
        commit = _git("rev-parse", "HEAD", folder=here)
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", folder=here)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write_checkpoint(
    path: Path, config: Config, unet: "UNet2DConditionModel", pair: TextPair, vae: "AutoencoderKL", commit: str
) -> None:
    """Write all parts in half precision as one file in SDXL's single-file layout, its configuration inside.

    The VAE must have been whitened. The file is read again by nova-graph before it takes its name.
    """
    from nodes.sdxl.checkpoint import inspect_checkpoint
    from nodes.sdxl.model import LiveModel
    from nodes.sdxl.text import LiveTextEncoders
    from nodes.sdxl.tokenizer import make_tokenizers
    from nodes.sdxl.vae import LiveVae

    tokenizer = tokenizer_config()
    model = LiveModel(unet, SchedulerConfig().model_dump())
    text = LiveTextEncoders(*make_tokenizers(tokenizer), pair.first, pair.second)
    live_vae = LiveVae(vae)
    merges = [_pair(merge) for merge in tokenizer.merges]
    configuration = describe(model, text, live_vae, merges)
    tensors = single_file_tensors(model, text, live_vae, configuration, torch.float16)
    count = sum(tensor.numel() for tensor in tensors.values())
    size = (config.native, config.native)
    told = model_spec(config.title, size, description=_description(config, count), **about(config, commit))
    with replacing(path) as fresh:
        write_safetensors(fresh, tensors, {**told, **configuration_metadata(configuration)})
        inspect_checkpoint(fresh)


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _description(config: Config, parameters: int) -> str:
    return (
        f"An SDXL-shaped text-to-image model of {parameters / 1e6:.1f} million parameters for "
        f"{config.native}x{config.native} pixels, trained from scratch on procedurally drawn anime characters. Its "
        "configuration and vocabulary are in this file under nova_graph.config."
    )

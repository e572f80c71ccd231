"""The nodes between a file and a picture: checkpoint, VAE, decode, encode."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from engine.assets import Asset, Found
from engine.environment import Environment
from engine.errors import AssetMissing, AssetRefused, Cancelled
from engine.testing import QuietContext
from nodes.checkpoint_loader import CheckpointLoader
from nodes.decode import Decode
from nodes.encode_image import EncodeImage
from nodes.sdxl.arrays import from_tensor
from nodes.sdxl.checkpoint import Prediction
from nodes.sdxl.pool import Pool
from nodes.vae import FP16_FIX, VAE
from nodes.values import Latents, Model, TextEncoders, Vae, Weights
from tests.nodes.sdxl.loading import FileLoading
from tests.tiny import write_checkpoint

SHA = "a" * 64
WEIGHTS = Weights(SHA, "tiny.safetensors")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny.safetensors", markers=("v_pred", "ztsnr"))


def found(kind: str, path: Path | None, sha256: str = SHA) -> Found:
    return Found(Asset(kind, "auto"), path, sha256)


def context(checkpoint: Path, dtype: str = "float32") -> QuietContext:
    environment = Environment(dtype=dtype)
    return QuietContext(environment=environment, pool=Pool(10**9, FileLoading({SHA: checkpoint}, environment)))


def latents() -> Latents:
    return Latents(from_tensor(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))), (3, 4))


def test_a_checkpoint_gives_three_handles_and_loads_nothing(checkpoint: Path) -> None:
    ctx = QuietContext(assets={"checkpoint": found("checkpoint", checkpoint)})
    loaded = CheckpointLoader().run(ctx)
    assert loaded.model == Model(WEIGHTS, (128, 128), prediction="v_prediction", zero_terminal_snr=True)
    assert loaded.text_encoders == TextEncoders(WEIGHTS)
    assert loaded.vae == Vae(WEIGHTS, own=True)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(("terminal", "expected"), [("yes", True), ("no", False)])
@pytest.mark.parametrize("markers", [(), ("v_pred", "ztsnr")])
def test_the_user_knows_better_than_the_file(
    prediction: Prediction, terminal: Literal["yes", "no"], expected: bool, markers: tuple[str, ...], tmp_path: Path
) -> None:
    path = write_checkpoint(tmp_path / "tiny.safetensors", markers=markers)
    ctx = QuietContext(assets={"checkpoint": found("checkpoint", path)})
    loaded = CheckpointLoader(prediction=prediction, zero_terminal_snr=terminal).run(ctx)
    assert (loaded.model.prediction, loaded.model.zero_terminal_snr) == (prediction, expected)


def test_zero_terminal_snr_is_a_leftover_beside_a_prediction_of_noise(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "tiny.safetensors", markers=("ztsnr",))
    ctx = QuietContext(assets={"checkpoint": found("checkpoint", path)})
    assert not CheckpointLoader().run(ctx).model.zero_terminal_snr
    assert CheckpointLoader(prediction="v_prediction").run(ctx).model.zero_terminal_snr


def test_a_checkpoint_without_a_vae_needs_another(checkpoint: Path, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "bare.safetensors", without=("first_stage_model.",))
    bundled = CheckpointLoader().run(QuietContext(assets={"checkpoint": found("checkpoint", path)})).vae
    ctx = QuietContext(assets={"override": found("vae", checkpoint, "b" * 64)})
    assert VAE(bundled=bundled, override="tiny").run(ctx).vae.weights.sha256 == "b" * 64
    ctx = QuietContext(assets={"override": found("vae", None)})
    with pytest.raises(AssetRefused, match=r"bare\.safetensors holds no VAE, and no other was chosen"):
        VAE(bundled=bundled, override="none").run(ctx)
    with pytest.raises(AssetRefused, match="holds no VAE"):
        Decode(vae=bundled, latents=latents()).run(context(path))


def test_a_checkpoint_that_is_nothing_is_missing() -> None:
    ctx = QuietContext(assets={"checkpoint": found("checkpoint", None)})
    with pytest.raises(AssetMissing, match="'none' names no checkpoint"):
        CheckpointLoader(checkpoint="none").run(ctx)


def test_none_keeps_the_checkpoints_vae() -> None:
    ctx = QuietContext(assets={"override": found("vae", None)})
    assert VAE(bundled=Vae(WEIGHTS), override="none").run(ctx).vae == Vae(WEIGHTS)


def test_another_vae_takes_its_place(checkpoint: Path) -> None:
    ctx = QuietContext(assets={"override": found("vae", checkpoint, "b" * 64)})
    expected = Vae(Weights("b" * 64, "tiny.safetensors"), bundled=False)
    assert VAE(bundled=Vae(WEIGHTS)).run(ctx).vae == expected


def test_a_checkpoint_with_latents_of_its_own_keeps_its_vae_unless_another_is_named(checkpoint: Path) -> None:
    own = Vae(WEIGHTS, own=True)
    ctx = QuietContext(assets={"override": found("vae", checkpoint, "b" * 64)})
    assert VAE(bundled=own).run(ctx).vae == own
    assert VAE(bundled=own, override="tiny").run(ctx).vae == Vae(Weights("b" * 64, "tiny.safetensors"), bundled=False)


@pytest.mark.parametrize("sha256", sorted(FP16_FIX))
def test_the_fp16_fix_vae_is_known_by_its_content(sha256: str, checkpoint: Path) -> None:
    ctx = QuietContext(assets={"override": found("vae", checkpoint, sha256)})
    assert VAE(bundled=Vae(WEIGHTS)).run(ctx).vae.half


def test_what_is_no_vae_is_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "tiny.safetensors", without=("first_stage_model.",))
    with pytest.raises(AssetRefused, match="holds no VAE"):
        VAE(bundled=Vae(WEIGHTS)).run(QuietContext(assets={"override": found("vae", path)}))


def test_pictures_go_to_latents_and_back_the_same_each_time(checkpoint: Path) -> None:
    ctx = context(checkpoint)
    image = Decode(vae=Vae(WEIGHTS), latents=latents()).run(ctx).image
    assert image.pixels.shape == (2, 64, 64, 3)
    assert image.seeds == (3, 4)
    encoded = EncodeImage(vae=Vae(WEIGHTS), image=image).run(ctx).latents
    assert encoded.samples.shape == (2, 4, 8, 8)
    assert encoded.seeds == (3, 4)
    assert EncodeImage(vae=Vae(WEIGHTS), image=image).run(context(checkpoint)).latents == encoded
    assert ctx.warnings == []


def test_in_half_precision_the_bundled_vae_decodes_in_single(checkpoint: Path) -> None:
    single = Decode(vae=Vae(WEIGHTS), latents=latents()).run(context(checkpoint)).image
    assert Decode(vae=Vae(WEIGHTS), latents=latents()).run(context(checkpoint, "float16")).image == single


def test_decoding_is_cancelled_between_pictures(checkpoint: Path) -> None:
    ctx = QuietContext(pool=Pool(10**9, FileLoading({SHA: checkpoint})), stop_after=0)
    with pytest.raises(Cancelled):
        Decode(vae=Vae(WEIGHTS), latents=latents()).run(ctx)

"""What a container does before the snapshot of its memory is taken, and what it makes good after it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from nodes.assets import read_settings
from nova_graph.api import run
from nova_graph.modal.documents import plan_document
from nova_graph.modal.preload import load_on_processor, models_document, with_held
from nova_graph.runtime import local_runtime
from tests.modal.cloud import ROOT

NANO = ROOT / "nodes/sdxl/nano/nova-nano.safetensors"


def in_a_new_process(program: str, **environ: str) -> Any:
    """Run a program that prints JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def test_the_snapshot_holds_all_imports() -> None:
    program = """
import json, sys
from nova_graph.modal.containers import import_kernels
import_kernels()
before = set(sys.modules)
import nodes.sdxl.denoise, nodes.sdxl.detail, nodes.sdxl.prompt, nodes.sdxl.vae
import ultralytics.data.augment, ultralytics.nn.tasks, ultralytics.utils.nms
print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))
"""
    before, late = in_a_new_process(program)
    assert {"torch", "diffusers", "transformers", "numpy", "PIL", "ultralytics"} <= set(before)
    assert not late


ASKED = """
import json, torch
counted = []
def count(asked=getattr(torch._C, "_cuda_getDeviceCount", lambda: 0)):
    counted.append("the driver")
    return asked()
def count_nvml(asked=torch.cuda._device_count_nvml):
    counted.append("NVML")
    return asked()
torch._C._cuda_getDeviceCount, torch.cuda._device_count_nvml = count, count_nvml
from nova_graph.modal.containers import import_kernels, load_models
import_kernels()
load_models()
before = list(counted)
from diffusers.utils.torch_utils import get_device
torch.cuda.is_available(), torch.cuda.device_count(), get_device()
print(json.dumps([before, counted, torch.cuda.is_initialized()]))
"""


def test_before_the_snapshot_no_device_is_asked_for_and_after_it_everybody_asks_anew(tmp_path: Path) -> None:
    environ = {"NOVA_CACHE_DIR": str(tmp_path), "CHECKPOINT_PATH": str(NANO), "NOVA_DEVICE": "cuda"}
    before, after, is_initialized = in_a_new_process(ASKED, **environ)
    assert before == []
    assert after[0] == after[-1] == "the driver", "torch first, diffusers last"
    assert "NVML" in after
    assert not is_initialized


RESTORED = """
import json, os, random, sys, time
from nova_graph.modal.containers import import_and_load, open_studio
from nova_graph.modal.settings import CloudSettings
from nova_graph.modal.volume import unshared
loaded = import_and_load()
import numpy, torch
sys.stdout.write("[")
for end in ",]":
    sys.stdout.flush()
    child = os.fork()
    if not child:
        open_studio(CloudSettings(), unshared(), lambda: None, began=time.time(), loaded=loaded)
        drawn = [random.random(), numpy.random.rand(), torch.rand(1, dtype=torch.float64).item()]
        sys.stdout.write(json.dumps(drawn) + end)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_containers_that_go_on_from_one_snapshot_draw_different_random_numbers(tmp_path: Path) -> None:
    """A process that is forked twice stands for a snapshot that is restored twice."""
    one, other = in_a_new_process(RESTORED, NOVA_CACHE_DIR=str(tmp_path), NOVA_DEVICE="cpu")
    assert all(first != second for first, second in zip(one, other, strict=True))


def test_models_loaded_before_the_snapshot_are_the_ones_that_are_lent(tmp_path: Path) -> None:
    import torch

    torch.set_num_threads(1)
    environ = {
        "NOVA_CACHE_DIR": str(tmp_path),
        "CHECKPOINT_PATH": str(NANO),
        "NOVA_DEVICE": "cpu",
        "NOVA_DTYPE": "float32",
    }
    settings = read_settings(environ, folders=())
    held = load_on_processor(settings, print)
    assert sorted(type(handle).__name__ for handle in held) == ["Model", "TextEncoders", "Vae"]
    plain = local_runtime(settings=settings, on_disk=False, warn=print)
    runtime = with_held(plain, held)
    run(plan_document(models_document("auto"), plain))
    for handle, live in held.items():
        with runtime.services.pool.resident(handle, print) as lent, plain.pool.resident(handle, print) as loaded:
            assert lent is live
            assert lent is not loaded
            for one, other in zip(modules(lent), modules(loaded), strict=True):
                same = one.state_dict()
                assert all(torch.equal(tensor, same[name]) for name, tensor in other.state_dict().items())


def modules(live: Any) -> list[Any]:
    values = [getattr(live, name) for name in live.__dataclass_fields__]
    return [value for value in values if hasattr(value, "parameters")]


def test_without_a_checkpoint_nothing_is_loaded_before_the_snapshot(tmp_path: Path) -> None:
    environ = {"NOVA_CACHE_DIR": str(tmp_path), "NOVA_REQUIRE_CHECKPOINT": "1", "NOVA_DEVICE": "cpu"}
    warned: list[str] = []
    assert load_on_processor(read_settings(environ, folders=()), warned.append) == {}
    assert "no model is loaded before the snapshot" in warned[0]


def test_a_file_that_is_no_checkpoint_keeps_no_container_from_starting(tmp_path: Path) -> None:
    """A LoRA among the checkpoints, say: whoever draws with another one is not to be stopped by it."""
    from numpy import zeros
    from safetensors.numpy import save_file

    (tmp_path / "checkpoint").mkdir()
    save_file({"lora_unet_middle_block.lora_up.weight": zeros((2, 2))}, tmp_path / "checkpoint" / "style.safetensors")
    warned: list[str] = []
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path), "NOVA_DEVICE": "cpu"}, folders=())
    assert load_on_processor(settings, warned.append) == {}
    assert "style.safetensors is a LoRA, not a checkpoint" in warned[-1]

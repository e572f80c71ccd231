"""A whole run against the same picture drawn by hand with diffusers' own pipeline, with the same modules in memory."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLPipeline

from benchmarks.measure import Timing, interleaved
from nodes.values import Model, TextEncoders, Vae
from nova_graph import Graph, Result, Runtime, load, local_runtime, run

GRAPH = Path(__file__).parent / "plain.yaml"
PROMPT = "1girl, solo, blue hair, red eyes, smile, white background, close-up, picture {number}"
"""Numbered, so that every picture's prompt is encoded anew, by hand as through nova-graph."""

NEGATIVE = "lowres, worst quality"
STEPS = 24
SIDE = 128


@dataclass(frozen=True, slots=True)
class WholeRun:
    """Seconds per picture: by hand, through nova-graph, and through nova-graph when all of it is cached."""

    by_hand: Timing
    nova_graph: Timing
    full_hit: Timing

    @property
    def overhead(self) -> float:
        """How much longer nova-graph takes than the hand-written pipeline, as a part of it."""
        return self.nova_graph.median / self.by_hand.median - 1


def measure(repeats: int) -> WholeRun:
    """Draw pictures both ways in turn; every one has a new prompt and seed, so nothing but the models is reused."""
    with local_runtime(on_disk=False) as runtime:
        graph = load(GRAPH, runtime=runtime)
        pipeline = _pipeline(graph, runtime)
        numbers = count(1)
        _draw_by_hand(pipeline, 0)
        timings = interleaved(
            [
                lambda: _draw_by_hand(pipeline, next(numbers)),
                lambda: _draw(graph, next(numbers)),
                lambda: _draw(graph, 0),
            ],
            repeats,
        )
    return WholeRun(*timings)


def _draw(graph: Graph, number: int) -> Result:
    return run(graph.plan(prompt=PROMPT.format(number=number), seed=number))


def _draw_by_hand(pipeline: StableDiffusionXLPipeline, number: int) -> None:
    pipeline(
        PROMPT.format(number=number),
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        width=SIDE,
        height=SIDE,
        generator=torch.Generator().manual_seed(number),
    )


def _pipeline(graph: Graph, runtime: Runtime) -> StableDiffusionXLPipeline:
    """Return diffusers' pipeline over the very modules that nova-graph has in its pool."""
    outputs = _draw(graph, 0).outputs
    handles = (outputs["model"], outputs["text_encoders"], outputs["vae"])
    assert isinstance(handles[0], Model)
    assert isinstance(handles[1], TextEncoders)
    assert isinstance(handles[2], Vae)
    with (
        runtime.pool.resident(handles[0], print) as model,
        runtime.pool.resident(handles[1], print) as text,
        runtime.pool.resident(handles[2], print) as vae,
    ):
        pipeline = StableDiffusionXLPipeline(
            vae=vae.vae,
            text_encoder=text.text_encoder,
            text_encoder_2=text.text_encoder_2,
            tokenizer=text.tokenizer,
            tokenizer_2=text.tokenizer_2,
            unet=model.unet,
            scheduler=EulerAncestralDiscreteScheduler.from_config(dict(model.scheduler_config)),
            force_zeros_for_empty_prompt=False,
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline

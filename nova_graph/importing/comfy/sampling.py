"""How samplers are run, by the names that ComfyUI has for it."""

from engine.values import Json
from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.parts import Course
from nova_graph.importing.comfy.reader import Reader
from nova_graph.importing.comfy.workflow import ComfyNode
from nova_graph.importing.draft import whole_steps


def sampler_name(reader: Reader, node: ComfyNode) -> Json:
    """Return the name of a node's sampler here."""
    name = reader.value(node, "sampler_name")
    return name.removesuffix("_gpu") if isinstance(name, str) else name


def seed_of(reader: Reader, node: ComfyNode, port: str) -> Json:
    """Return a node's seed; nodes that hold one have numbers below 0 for seeds that change."""
    seed = reader.value(node, port)
    return "random" if isinstance(seed, int) and seed < 0 else seed


def course_of(reader: Reader, node: ComfyNode) -> Course:
    """Return how a sampler is run; raises UsageError where there is no such run here."""
    steps = reader.value(node, "steps")
    if node.type == "KSampler":
        denoise = reader.value(node, "denoise", 1)
        return Course(seed_of(reader, node, "seed"), whole_steps(steps, denoise), denoise)
    first, last = reader.value(node, "start_at_step", 0), reader.value(node, "end_at_step", 10_000)
    leaves_noise = reader.value(node, "return_with_leftover_noise") == "enable"
    match first, last, steps:
        case int(), int(), int() if 0 <= first < min(last, steps) and (last >= steps or leaves_noise):
            end = last if last < steps else None
            seed = seed_of(reader, node, "noise_seed")
            if reader.value(node, "add_noise") != "disable":
                return Course(seed, steps, 1 - first / steps if first else 1, None, end)
            if first:
                return Course(seed, steps, 1, first, end)
    raise UsageError(
        f"KSamplerAdvanced (node {node.id}) does a part of a course that Sampler cannot do",
        hint="It can begin with noise of its own or after another one, and ends with the noise that is left, or at "
        "the end.",
    )

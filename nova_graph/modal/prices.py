"""What Modal's GPUs cost, as of one day; the only place with prices."""

from dataclasses import dataclass

AS_OF = "2026-07-01"
"""The day of this table; https://modal.com/pricing has today's."""

PER_SECOND = {
    "L4": 0.000222,
    "A10": 0.000306,
    "L40S": 0.000542,
    "A100-40GB": 0.000583,
    "A100-80GB": 0.000694,
    "RTX-PRO-6000": 0.000842,
    "H100": 0.001097,
    "H200": 0.001261,
    "B200": 0.001736,
}
"""US dollars for one second of one GPU, where Modal may choose the region and may preempt. Processor and memory are
extra: about 0.00018 for what the GPU class asks for by default."""

_PARTS = {
    "RTX-PRO-6000": ("RTX", "PRO", "6000"),
    "A100-40GB": ("A100", "40GB"),
    "A100-80GB": ("A100", "80GB"),
}
_ALIASES = {"A10G": "A10"}
"""What drivers call some of them."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What some seconds cost on a GPU of the table, in US dollars."""

    gpu: str
    seconds: float
    dollars: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} GPU seconds on {self.gpu}, about ${self.dollars:.4f} (prices of {AS_OF})"


def estimate(device_name: str, seconds: float) -> Estimate | None:
    """Estimate the GPU's price for some seconds; `device_name` is the driver's. None for a GPU that is not listed."""
    gpu = listed_gpu(device_name)
    return Estimate(gpu, seconds, PER_SECOND[gpu] * seconds) if gpu else None


def listed_gpu(device_name: str) -> str:
    """Return the table's name for a device such as `NVIDIA A100-SXM4-40GB`; empty where it is not in the table."""
    words = {_ALIASES.get(word, word) for word in device_name.upper().replace("-", " ").split()}
    found = [gpu for gpu in PER_SECOND if words.issuperset(_PARTS.get(gpu, (gpu,)))]
    return found[0] if len(found) == 1 else ""

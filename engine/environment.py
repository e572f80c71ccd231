"""Where nodes compute: the part of a result's identity that the graph does not name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Environment:
    """A device and the software on it, as plain words; found without importing torch.

    `facts` change what is computed (torch version) and are in the keys of nodes that use the device.
    `detail` may change the last bits (thread count, instruction set, GPU name) and is recorded with pictures only.
    """

    device: str = "cpu"
    dtype: str = "float32"
    facts: tuple[tuple[str, str], ...] = ()
    detail: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The identity that goes into keys."""
        return "|".join([self.device, self.dtype, *(f"{name}={value}" for name, value in self.facts)])

    @property
    def fingerprint(self) -> str:
        """The identity under which equal bits are promised."""
        return "|".join([self.key, *(f"{name}={value}" for name, value in self.detail)])

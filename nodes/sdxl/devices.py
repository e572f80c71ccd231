"""Where and in which precision torch computes."""

import torch

from engine.environment import Environment
from engine.errors import NovaError

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def device_of(environment: Environment) -> torch.device:
    """Return the torch device of an environment."""
    return torch.device(environment.device)


def dtype_of(environment: Environment) -> torch.dtype:
    """Return the torch dtype of an environment; raises NovaError for a name other than the three that SDXL runs in."""
    dtype = _DTYPES.get(environment.dtype)
    if dtype is None:
        raise NovaError(
            f"there is no dtype {environment.dtype!r} for SDXL models", hint=f"Use one of: {', '.join(_DTYPES)}."
        )
    return dtype

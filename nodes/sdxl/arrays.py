"""Between arrays on edges and tensors in kernels."""

import torch

from nodes.values import Array, DType, Image

_TORCH: dict[DType, torch.dtype] = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U8": torch.uint8,
    "I64": torch.int64,
}
_NAMES: dict[torch.dtype, DType] = {dtype: name for name, dtype in _TORCH.items()}


def to_tensor(array: Array, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> torch.Tensor:
    """Copy an array into a tensor of its shape; `dtype` None keeps the array's own."""
    own = _TORCH[array.dtype]
    if not array.data:
        return torch.empty(array.shape, dtype=dtype or own, device=device)
    flat = torch.frombuffer(bytearray(array.data), dtype=own)
    return flat.reshape(array.shape).to(device=device, dtype=dtype or own, copy=True)


def from_tensor(tensor: torch.Tensor) -> Array:
    """Copy a tensor into an array that owns its bytes; raises KeyError for a dtype that arrays do not have."""
    whole = tensor.detach().cpu().contiguous()
    data = whole.reshape(-1).view(torch.uint8).numpy().tobytes() if whole.numel() else b""
    return Array(_NAMES[whole.dtype], tuple(whole.shape), data)


def image_to_tensor(
    image: Image, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Return pictures as [batch, 3, height, width] from -1 to 1, scaled like diffusers' image processor."""
    unit = to_tensor(image.pixels, dtype=torch.float32) / 255.0
    return (2.0 * unit.permute(0, 3, 1, 2).contiguous() - 1.0).to(device=device, dtype=dtype)


def tensor_to_image(tensor: torch.Tensor, seeds: tuple[int, ...] = ()) -> Image:
    """Return [batch, 3, height, width] from -1 to 1 as pictures, rounded like diffusers' image processor."""
    unit = (tensor.detach() * 0.5 + 0.5).clamp(0, 1)
    pixels = (unit.permute(0, 2, 3, 1).float().cpu() * 255).round().to(torch.uint8)
    return Image(from_tensor(pixels), seeds)

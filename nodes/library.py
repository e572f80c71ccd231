"""The built-in node types."""

from engine.registry import Registry
from nodes.canny import Canny
from nodes.checkpoint_loader import CheckpointLoader
from nodes.composite import Composite
from nodes.controlnet import ControlNet
from nodes.decode import Decode
from nodes.detect_faces import DetectFaces
from nodes.embedding import Embedding
from nodes.encode_image import EncodeImage
from nodes.encoder import Encoder
from nodes.face_detailer import FaceDetailer
from nodes.invert import Invert
from nodes.load_image import LoadImage
from nodes.lora import LoRA
from nodes.mask_from_image import MaskFromImage
from nodes.pag import PAG
from nodes.resize_image import ResizeImage
from nodes.resize_latents import ResizeLatents
from nodes.sampler import Sampler
from nodes.serializer import Serializer
from nodes.upscale_image import UpscaleImage
from nodes.vae import VAE


def built_in() -> Registry:
    """Return a registry of every node type that comes with nova-graph."""
    return Registry(
        [
            CheckpointLoader,
            LoRA,
            Embedding,
            ControlNet,
            VAE,
            Encoder,
            PAG,
            Sampler,
            Decode,
            EncodeImage,
            LoadImage,
            MaskFromImage,
            Composite,
            ResizeImage,
            Canny,
            Invert,
            UpscaleImage,
            ResizeLatents,
            DetectFaces,
            FaceDetailer,
            Serializer,
        ],
        home="nodes",
    )

"""Face embeddings by facenet-pytorch's network, with weights from the user's file."""

import pickle
import struct
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1
from numpy.typing import NDArray
from torch.nn import functional as F

from pipeline.errors import InputError
from pipeline.identity.embedding import check_sha256

# Errors of torch.load and load_state_dict for other files.
_NOT_WEIGHTS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)

# Input side of facenet-pytorch's networks, px, and chips per batch, which limits the memory.
_FACENET_PX, _FACENET_BATCH = 160, 32


class FacenetEmbedder:
    """facenet-pytorch's InceptionResnetV1 → 512 numbers, with weights from the user's file.

    The network was trained on MTCNN's boxes with a margin, which show about the same part of a face as a
    chip; upright chips are easier.

    ``same_person`` is the cosine distance of 0.30 that DeepFace (serengil) uses for the same network trained
    on VGGFace2, its "Facenet512", as a distance of unit vectors: √(2 · 0.30); ``perhaps`` is
    a cosine distance of 0.50. Not measured here.

    :param path: a state dict as published by facenet-pytorch, with or without the classification layer.
    :param sha256: sha256 of the file, as stated by its publisher.
    :raises InputError: no such file, another sha256, or no weights of this network.
    """

    same_person, perhaps = 0.77, 1.0

    def __init__(self, path: Path, sha256: str, device: torch.device | str = "cpu") -> None:
        check_sha256(path, sha256, "fetch it again, or give the sha256 that its maker states")
        self.name, self.sha256 = path.stem, sha256.lower()
        self._device = torch.device(device)
        self._net = _facenet(path).eval().to(self._device)

    @torch.inference_mode()
    def __call__(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 150, 150, 3) uint8 RGB → (N, 512) float32 of length 1."""
        batches = (chips[start : start + _FACENET_BATCH] for start in range(0, len(chips), _FACENET_BATCH))
        found = [self._embed(batch) for batch in batches]
        return np.concatenate(found) if found else np.zeros((0, 512), np.float32)

    def _embed(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.ascontiguousarray(chips)).to(self._device).permute(0, 3, 1, 2).float()
        larger = F.interpolate(pixels, size=(_FACENET_PX, _FACENET_PX), mode="bilinear")
        # facenet-pytorch's fixed_image_standardization
        return self._net((larger - 127.5) / 128).cpu().numpy()


def _facenet(path: Path) -> InceptionResnetV1:
    """:raises InputError: the file does not hold this network's tensors, or more than tensors."""
    net = InceptionResnetV1()
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("logits.")}
        net.load_state_dict(kept, strict=True)
    except _NOT_WEIGHTS as error:
        raise InputError(
            f"{path}: not the weights of facenet-pytorch's InceptionResnetV1; give its state dict."
        ) from error
    return net

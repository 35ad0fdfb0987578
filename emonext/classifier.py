"""The classifier: face crops → calibrated probabilities."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emonext.checkpoint import load_weights
from emonext.device import choose_device, has_bf16
from emonext.inference import mirrored_heads
from emonext.model import LABELS
from emonext.weight_files import DEFAULT


class Classifier:
    """Weights on a device, ready to use.

    If the weights were trained on people's votes, a probability estimates the share of people who would name
    that expression; otherwise it is the probability of FER2013's label.

    The logits of a face and of its mirror image are averaged; the model card states what that gives.

    >>> classify = Classifier()
    >>> classify(crops)          # (N, S, S, 3) uint8 RGB → (N, 7) float32, rows summing to 1

    :param name_or_file: shipped weights by name, or a .safetensors file.
    :param device: ``auto``, ``cpu`` or ``cuda``.
    :param bf16: compute in bf16 where the device can; of 512 faces, 511 get the same class as in float32.
    :raises WeightsError, DeviceError: the weights or the device are not available.
    """

    def __init__(
        self, name_or_file: str | Path = DEFAULT, device: str = "auto", *, bf16: bool = True
    ) -> None:
        self.device = choose_device(device)
        self._bf16 = bf16 and has_bf16(self.device)
        weights = load_weights(name_or_file)
        self.card, self.sha256 = weights.card, weights.sha256
        votes = weights.card.architecture.votes
        # the logits of the head for votes are in LABELS' order
        self._columns = list(range(len(LABELS))) if votes else weights.card.columns
        self.temperature = weights.card.votes_temperature if votes else weights.card.temperature
        self.labels = LABELS
        self._model = weights.model.to(self.device).to(memory_format=torch.channels_last)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB, cut as ``card.preprocessing`` says → (N, 7) float32, in LABELS' order."""
        return self.read(crops)[0]

    @torch.inference_mode()
    def read(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Read the expression, and how far the face is hidden by a thing, blur, darkness or its angle.

        :param crops: (N, H, W, 3) uint8 RGB, cut as ``card.preprocessing`` says.
        :returns: (N, 7) probabilities in LABELS' order, and (N,) 0…1: above 0.5, the expression can't be
            read; 0 if the weights have no head for it.
        """
        if len(crops) == 0:
            return np.zeros((0, len(self.labels)), np.float32), np.zeros(0, np.float32)
        x = self.card.preprocessing(torch.from_numpy(np.ascontiguousarray(crops)).to(self.device))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            _, votes, covered = mirrored_heads(self._model, x).split([len(LABELS), len(LABELS), 1], dim=1)
        probabilities = (votes / self.temperature).softmax(dim=1)[:, self._columns]
        hidden = (covered[:, 0] - self.card.covered_limit).sigmoid()
        return probabilities.cpu().numpy(), hidden.cpu().numpy()

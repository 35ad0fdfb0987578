"""EmoNeXt: ConvNeXt with a spatial transformer, squeeze-and-excitation and an attention regulariser.

El Boudouri & Bohi, *EmoNeXt: an Adapted ConvNeXt for Facial Emotion Recognition*, IEEE MMSP 2023,
arXiv 2501.08199. The trunk is timm's ConvNeXt, which provides maintained blocks, stochastic
depth and ImageNet weights.
"""

import math
from dataclasses import dataclass

import torch
from timm.layers.squeeze_excite import SEModule
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn
from torch.nn import functional as F

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven classes, in FER2013's order."""

SE_REDUCTION = 16
LABEL_SMOOTHING = 0.2

# Weight of the covers' loss beside those of labels and votes.
COVERED_WEIGHT = 0.5


@dataclass(frozen=True)
class Architecture:
    """The parameters that define an EmoNeXt's tensors.

    :param depths: blocks of the four stages.
    :param dims: channels of the four stages.
    :param image_size: side of the input, px.
    :param votes: add a second linear head that predicts the distribution of ten people's votes. The paper
        has no such head; FER2013's labels alone are too noisy to train on.
    :param covered: add a head that tells how far the face is hidden, by a hand or a mask, or by blur.
    :param spatial_transformer: ``False`` omits it (for ablations).
    :param squeeze_excitation: ``False`` omits it (for ablations).
    """

    depths: tuple[int, int, int, int]
    dims: tuple[int, int, int, int]
    image_size: int = 224
    votes: bool = False
    spatial_transformer: bool = True
    squeeze_excitation: bool = True
    covered: bool = False


# The five sizes of the paper, and timm's smaller ConvNeXts for machines without a GPU.
ARCHITECTURES = {
    "tiny": Architecture((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": Architecture((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": Architecture((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": Architecture((3, 3, 27, 3), (192, 384, 768, 1536)),
    "xlarge": Architecture((3, 3, 27, 3), (256, 512, 1024, 2048)),
    "atto": Architecture((2, 2, 6, 2), (40, 80, 160, 320), 96),
    "femto": Architecture((2, 2, 6, 2), (48, 96, 192, 384), 96),
    "pico": Architecture((2, 2, 6, 2), (64, 128, 256, 512), 112),
    "nano": Architecture((2, 2, 8, 2), (80, 160, 320, 640), 112),
}


class SpatialTransformer(nn.Module):
    """Predict an affine map from the picture and warp the picture by it (Jaderberg et al. 2015).

    Input and output: (N, 3, S, S) float. The initial map is the identity.
    """

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.localization = nn.Sequential(
            nn.Conv2d(3, 8, kernel_size=7),
            nn.BatchNorm2d(8),
            nn.MaxPool2d(2, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 10, kernel_size=5),
            nn.BatchNorm2d(10),
            nn.MaxPool2d(2, stride=2),
            nn.ReLU(),
        )
        side = ((image_size - 6) // 2 - 4) // 2  # 52 at 224 px
        last = nn.Linear(32, 6)
        self.affine = nn.Sequential(nn.Linear(10 * side * side, 32), nn.ReLU(), last)
        nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])

    def forward(self, x: Tensor) -> Tensor:
        # bf16 has too few bits for pixel coordinates: with bf16 here, 1 face in 80 gets another class than in
        # float32; without it, 1 in 300
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            theta = self.affine(self.localization(x).flatten(1)).view(-1, 2, 3)
            grid = F.affine_grid(theta, list(x.shape), align_corners=True)
            return F.grid_sample(x, grid, align_corners=True)


class SampleAttention(nn.Module):
    """Self-attention between the samples of a batch; only the loss uses the attention matrix.

    (N, D) features → (N, N) attention, each row summing to 1. The scores are scaled by 1/√√D as in
    the authors' code. ``value`` does not affect the matrix; the published weights contain it.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, features: Tensor) -> Tensor:
        x = self.norm(features)
        scores = self.query(x) @ self.key(x).T / math.sqrt(math.sqrt(x.shape[1]))
        return scores.float().softmax(dim=-1)


class EmoNeXt(nn.Module):
    """Face picture → seven logits.

    :param drop_path: stochastic depth rate of the last block, in training.
    :param layer_scale: initial layer scale; ConvNeXt's 1e-6 suits a pretrained start.
    """

    def __init__(
        self, architecture: Architecture, *, drop_path: float = 0.1, layer_scale: float = 1e-6
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.transformer = (
            SpatialTransformer(architecture.image_size) if architecture.spatial_transformer else nn.Identity()
        )
        self.backbone = ConvNeXt(
            depths=architecture.depths,
            dims=architecture.dims,
            num_classes=len(LABELS),
            drop_path_rate=drop_path,
            ls_init_value=layer_scale,
        )
        if architecture.squeeze_excitation:
            self._add_squeeze_excitation(architecture.dims)
        self.attention = SampleAttention(architecture.dims[-1])
        self.votes = nn.Linear(architecture.dims[-1], len(LABELS)) if architecture.votes else None
        self.covered = nn.Linear(architecture.dims[-1], 1) if architecture.covered else None

    def _add_squeeze_excitation(self, dims: tuple[int, ...]) -> None:
        """Add a block after each downsampling, as in the authors' code."""
        for stage, dim in zip(self.backbone.stages[1:], dims[1:], strict=True):
            downsample = stage.get_submodule("downsample")
            assert isinstance(downsample, nn.Sequential)
            downsample.append(SEModule(dim, rd_channels=dim // SE_REDUCTION, bias=False))

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) → (N, D): warped, passed through the trunk, averaged over the picture, normalised."""
        return self.backbone.forward_head(
            self.backbone.forward_features(self.transformer(x)), pre_logits=True
        )

    def logits(self, features: Tensor) -> Tensor:
        """(N, D) → (N, 7), of FER2013's labels."""
        return self.backbone.head.fc(features)

    def vote_logits(self, features: Tensor) -> Tensor:
        """(N, D) → (N, 7), for people's votes; without a head for votes, for FER2013's labels."""
        return self.logits(features) if self.votes is None else self.votes(features)

    def covered_logit(self, features: Tensor) -> Tensor:
        """(N, D) → (N,): how far the face is hidden; −∞ without a head for it."""
        if self.covered is None:
            return features.new_full((len(features),), -math.inf)
        return self.covered(features)[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) float as preprocessed → (N, 7) logits; a face's row depends on that face alone."""
        return self.logits(self.features(x))


def attention_loss(attention: Tensor) -> Tensor:
    """Mean squared deviation of the attention's entries from their mean (eq. 4 of the paper)."""
    return (attention - attention.mean()).square().mean()


def training_loss(
    model: EmoNeXt,
    x: Tensor,
    target: Tensor,
    votes: Tensor | None = None,
    hidden: Tensor | None = None,
    *,
    label_smoothing: float = LABEL_SMOOTHING,
    attention_weight: float = 1.0,
) -> Tensor:
    """Label-smoothed cross-entropy plus the attention term, a scalar; plus those of votes and covers.

    :param x: (N, 3, S, S) preprocessed pictures.
    :param target: (N, 7) probabilities; rows of zeros are ignored.
    :param votes: (N, 7) shares; rows of zeros are ignored. Votes are not smoothed: the disagreement between
        people is part of the target.
    :param hidden: (N,) how far each face is hidden, 0…1.
    """
    features = model.features(x)
    known = target.sum(dim=1, keepdim=True)
    smooth = (1 - label_smoothing) * target + label_smoothing / len(LABELS) * known
    loss = F.cross_entropy(model.logits(features).float(), smooth, reduction="sum")
    loss = loss / known.sum().clamp_min(1)
    if attention_weight:
        loss = loss + attention_weight * attention_loss(model.attention(features))
    if votes is not None:
        loss = loss + F.cross_entropy(model.vote_logits(features).float(), votes)
    if hidden is not None and model.covered is not None:
        logit = model.covered_logit(features).float()
        loss = loss + COVERED_WEIGHT * F.binary_cross_entropy_with_logits(logit, hidden)
    return loss

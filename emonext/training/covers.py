"""Draw things before faces: hands, cups, masks, glasses, hair, microphones and nasal cannulas.

A thing is a union of strokes: segments with a radius. Coordinates are shares of the picture's side, from the
upper left corner. In FER2013's framing, the eyes are at (0.5 ± 0.18, 0.38) and the mouth is at (0.5, 0.76).
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

# Most strokes of a thing.
_STROKES = 6

# Width of a shadow around a thing, and half the width of a rim, as shares of the side.
_SHADOW, _RIM = 0.06, 0.012


def draw_covers(grey: Tensor, probability: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw one thing before each face, with this probability.

    :param grey: (N, 1, S, S) in 0…1; the faces of the batch lend their skin as texture.
    :returns: (N, 1, S, S) in 0…1, and (N,) the covered share of each picture.
    """
    n, side = len(grey), grey.shape[-1]
    kinds = torch.randint(len(_KINDS), (n,), generator=generator, device=grey.device)
    rows = torch.arange(n, device=grey.device)
    drawn = torch.stack([draw(n, generator) for draw in _KINDS])[kinds, rows]
    square = (kinds == _KINDS.index(_patch)) & (uniform(n, 0, 1, generator) < 0.5)
    distance = _distance(drawn, square, side)
    rims = (kinds == _KINDS.index(_glasses)) & (uniform(n, 0, 1, generator) < 0.6)
    distance = torch.where(rims[:, None, None], distance.abs() - _RIM, distance)[:, None]
    chosen = (uniform(n, 0, 1, generator) < probability).float().view(n, 1, 1, 1)
    opacity = chosen * (0.5 - distance * side).clamp(0, 1)
    shadow = chosen * uniform(n, 0, 0.5, generator).view(n, 1, 1, 1) * (1 - distance / _SHADOW).clamp(0, 1)
    covered = grey * (1 - shadow) * (1 - opacity) + _texture(grey, generator) * opacity
    return covered, opacity.mean(dim=(1, 2, 3))


def _distance(strokes: Tensor, square: Tensor, side: int) -> Tensor:
    """Signed distance to the edge of each thing, negative inside: (N, side, side).

    :param strokes: (N, _STROKES, 5). :param square: (N,) bool, whether the ends are square, not round.
    """
    at = (torch.arange(side, device=strokes.device) + 0.5) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    nearest = torch.full((len(strokes), side, side), math.inf, device=strokes.device)
    for stroke in strokes.unbind(1):
        x0, y0, x1, y1, radius = stroke[:, :, None, None].unbind(1)
        dx, dy = x1 - x0, y1 - y0
        share = ((x - x0) * dx + (y - y0) * dy) / (dx.square() + dy.square()).clamp_min(1e-6)
        share = share.clamp(0, 1)
        right, below = x - x0 - share * dx, y - y0 - share * dy
        sides = torch.maximum(right.abs(), below.abs())
        gap = torch.where(square[:, None, None], sides, torch.hypot(right, below)) - radius
        nearest = torch.minimum(nearest, torch.where(radius > 0, gap, math.inf))
    return nearest


def _texture(grey: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 1, S, S) in 0…1: enlarged skin of another face, a smooth shade, stripes or noise, of any tone."""
    n, side = len(grey), grey.shape[-1]
    part = max(4, side // 4)
    left, top = (int(uniform(1, 0, side - part + 1, generator)) for _ in range(2))
    skin = grey.roll(1, 0)[:, :, top : top + part, left : left + part]
    skin = F.interpolate(skin, (side, side), mode="bicubic", align_corners=False)
    at = (torch.arange(side, device=grey.device) + 0.5) / side - 0.5
    angle = uniform(n, 0, 2 * math.pi, generator).view(n, 1, 1, 1)
    ramp = at * angle.cos() + at[:, None] * angle.sin()
    stripes = 0.5 * torch.sin(ramp * uniform(n, 20, 120, generator).view(n, 1, 1, 1))
    noise = torch.rand(grey.shape, generator=generator, device=grey.device) - 0.5
    noise = noise * uniform(n, 0, 1, generator).view(n, 1, 1, 1)
    drawn = torch.stack([skin - skin.mean(dim=(1, 2, 3), keepdim=True), ramp, stripes, noise])
    kinds = torch.randint(len(drawn), (n,), generator=generator, device=grey.device)
    # hands are as light as faces; other things have any tone
    own = grey.mean(dim=(1, 2, 3)) + uniform(n, -0.15, 0.25, generator)
    tone = torch.where(kinds == 0, own, uniform(n, 0, 1, generator))
    depth = uniform(n, 0, 1, generator).view(n, 1, 1, 1)
    return (tone.view(n, 1, 1, 1) + depth * drawn[kinds, torch.arange(n, device=grey.device)]).clamp(0, 1)


# --- things ---------------------------------------------------------------------------------------------


def _hand(n: int, generator: torch.Generator) -> Tensor:
    """A palm, four fingers and a forearm, anywhere on the face and in any direction."""
    x, y = uniform(n, 0.15, 0.85, generator), uniform(n, 0.2, 0.95, generator)
    angle, size = uniform(n, 0, 2 * math.pi, generator), uniform(n, 0.5, 1.1, generator)
    spread = uniform(n, 0.0, 0.25, generator)

    def towards(turn: Tensor, length: float) -> tuple[Tensor, Tensor]:
        return x + size * length * torch.cos(angle + turn), y + size * length * torch.sin(angle + turn)

    zero = torch.zeros(n, device=x.device)
    fingers = []
    for step in (-1.5, -0.5, 0.5, 1.5):
        knuckle, tip = step * (0.2 + 0.6 * spread), step * (0.3 + spread)
        fingers.append(_stroke(*towards(knuckle, 0.12), *towards(tip, 0.42), 0.055 * size))
    palm = _stroke(x, y, *towards(zero, 0.1), 0.17 * size)
    arm = _stroke(x, y, *towards(zero + math.pi, 1.0), 0.11 * size)
    return torch.stack([palm, arm, *fingers], dim=1)


def _cup(n: int, generator: torch.Generator) -> Tensor:
    """A cup or bottle at the mouth."""
    x, y = uniform(n, 0.35, 0.65, generator), uniform(n, 0.65, 0.85, generator)
    lean, width = uniform(n, -0.3, 0.3, generator), uniform(n, 0.12, 0.25, generator)
    return _padded([_stroke(x, y, x + lean, y + 0.5, width)])


def _mask(n: int, generator: torch.Generator) -> Tensor:
    """A mask or scarf: the lower half of the face."""
    y, radius = uniform(n, 0.72, 0.85, generator), uniform(n, 0.18, 0.3, generator)
    tilt = uniform(n, -0.06, 0.06, generator)
    return _padded([_stroke(_like(y, 0.25), y + tilt, _like(y, 0.75), y - tilt, radius)])


def _glasses(n: int, generator: torch.Generator) -> Tensor:
    """Two lenses, a bridge and the temples; rims or dark glasses."""
    y, radius = uniform(n, 0.35, 0.43, generator), uniform(n, 0.09, 0.14, generator)
    x, thin = uniform(n, 0.16, 0.2, generator), _like(y, 0.012)
    lenses = [_stroke(0.5 + side * x - 0.02, y, 0.5 + side * x + 0.02, y, radius) for side in (-1, 1)]
    bridge = _stroke(0.5 - x + radius, y, 0.5 + x - radius, y, thin)
    temples = [
        _stroke(0.5 + side * (x + radius), y, _like(y, 0.5 + side * 0.6), y - 0.03, thin) for side in (-1, 1)
    ]
    return _padded([*lenses, bridge, *temples])


def _hair(n: int, generator: torch.Generator) -> Tensor:
    """Strands from the top or from one side."""
    x, reach = uniform(n, 0.0, 1.0, generator), uniform(n, 0.25, 0.75, generator)
    strands = []
    for _ in range(_STROKES):
        start = x + uniform(n, -0.25, 0.25, generator)
        strands.append(
            _stroke(
                start,
                _like(x, -0.05),
                start + uniform(n, -0.2, 0.2, generator),
                reach + uniform(n, -0.15, 0.15, generator),
                uniform(n, 0.02, 0.08, generator),
            )
        )
    return torch.stack(strands, dim=1)


def _microphone(n: int, generator: torch.Generator) -> Tensor:
    """A round head below or before the mouth, on a rod that comes from below."""
    x, y = uniform(n, 0.3, 0.7, generator), uniform(n, 0.72, 0.92, generator)
    radius = uniform(n, 0.07, 0.16, generator)
    head = _stroke(x, y, x, y + 0.02, radius)
    rod = _stroke(x, y, x + uniform(n, -0.4, 0.4, generator), _like(x, 1.2), radius * 0.5)
    return _padded([head, rod])


def _cannula(n: int, generator: torch.Generator) -> Tensor:
    """A thin tube below the nose, over both cheeks to the ears."""
    y, radius = uniform(n, 0.6, 0.7, generator), uniform(n, 0.01, 0.025, generator)
    tilt = uniform(n, -0.04, 0.04, generator)
    tube = _stroke(_like(y, 0.36), y + tilt, _like(y, 0.64), y - tilt, radius)
    ends = [
        _stroke(_like(y, 0.36), y + tilt, _like(y, -0.05), y - 0.2, radius),
        _stroke(_like(y, 0.64), y - tilt, _like(y, 1.05), y - 0.2, radius),
    ]
    return _padded([tube, *ends])


def _patch(n: int, generator: torch.Generator) -> Tensor:
    """A round or square patch of any size, anywhere: a sheet of paper, another person's shoulder."""
    x, y = uniform(n, 0, 1, generator), uniform(n, 0, 1, generator)
    angle, length = uniform(n, 0, 2 * math.pi, generator), uniform(n, 0, 0.5, generator)
    ends = x + length * angle.cos(), y + length * angle.sin()
    return _padded([_stroke(x, y, *ends, uniform(n, 0.05, 0.35, generator))])


_KINDS: tuple[Callable[[int, torch.Generator], Tensor], ...] = (
    _hand,
    _cup,
    _mask,
    _glasses,
    _hair,
    _microphone,
    _cannula,
    _patch,
)


def _stroke(x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, radius: Tensor) -> Tensor:
    """Five (n,) tensors → (n, 5)."""
    return torch.stack([x0, y0, x1, y1, radius], dim=1)


def _padded(strokes: Sequence[Tensor]) -> Tensor:
    """(n, 5) each → (n, _STROKES, 5), filled with strokes that are not drawn."""
    return F.pad(torch.stack(list(strokes), dim=1), (0, 0, 0, _STROKES - len(strokes)))


def _like(values: Tensor, value: float) -> Tensor:
    return torch.full_like(values, value)


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """(n,) numbers between low and high."""
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low

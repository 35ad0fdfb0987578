"""Load networks that others trained and that come with the program; ``weights/NOTICE.md`` names them."""

import hashlib
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load
from torch import nn

from pipeline.errors import InputError

FOLDER = Path(__file__).parent / "weights"

SHA256 = {
    "face_mesh": "bb3acca5c5359c73e87d4657354475904ab1d887065e4cb491736bf8e1328722",
    "eye_contour": "8bc6d1c1c8491ea59af79249a86c19ae80e1fb9bbdbc13c55c8ec18e600aa2db",
    "voice_activity": "fae4282441c2e5cd2ebf7294d619d5070f06a5219c108f671e305080ebc2d4c8",
}
"""Name → sha256 of ``weights/NAME.safetensors``."""

Net = TypeVar("Net", bound=nn.Module)


def with_weights(net: Net, name: str) -> Net:
    """The network with its weights, for evaluation.

    :raises InputError: the file is missing or changed.
    """
    path = FOLDER / f"{name}.safetensors"
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise InputError(f"{path}: missing, damaged or changed; install the program again.")
    net.load_state_dict(load(content))
    return net.eval()

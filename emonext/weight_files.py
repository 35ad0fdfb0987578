"""Find and verify weight files; without torch, which takes seconds to import.

Shipped files are checked against the sha256 in :data:`SHIPPED`; other files against ``FILE.sha256`` in the
same folder, if there is one.
"""

import hashlib
import os
import re
from pathlib import Path

from emonext.errors import WeightsError

FOLDER = Path(__file__).parent / "weights"

SHIPPED = {
    "atto": "518e3a551127a1f967341c23c9031202a4ce3174c93d6169b103d21d9ab12f00",
}
"""Name → sha256 of ``weights/NAME.safetensors``."""

DEFAULT = "atto"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def find_weights(name_or_file: str | Path) -> Path:
    """The file of shipped or imported weights by name, or the file itself."""
    if str(name_or_file) in SHIPPED:
        return FOLDER / f"{name_or_file}.safetensors"
    if str(name_or_file) in (names := imported_weights()):
        return imports_folder() / f"{name_or_file}.safetensors"
    path = Path(name_or_file)
    if not path.is_file():
        known = ", ".join([*SHIPPED, *names])
        raise WeightsError(f"{name_or_file}: no such weights. Give a .safetensors file or a name: {known}.")
    return path


def imports_folder() -> Path:
    """The folder of the user's imported weights (XDG base directory specification)."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "emonext-care" / "weights"


def imported_weights() -> list[str]:
    """The names of the imported weights."""
    return sorted(path.stem for path in imports_folder().glob("*.safetensors"))


def verify_weights(path: Path) -> str:
    """Compute the file's sha256 and compare it with the expected one, if known.

    :raises WeightsError: the sha256 differs.
    """
    digest = sha256_of(path)
    expected = _expected_sha256(path)
    if expected is not None and expected != digest:
        raise WeightsError(
            f"{path}: its sha256 is {digest[:12]}…, not {expected[:12]}…: damaged or changed; fetch it again."
        )
    return digest


def _expected_sha256(path: Path) -> str | None:
    if path.parent == FOLDER:
        return SHIPPED.get(path.stem)
    beside = path.with_name(path.name + ".sha256")
    if not beside.is_file():
        return None
    found = re.match(r"[0-9a-f]{64}\b", beside.read_text("utf-8", errors="replace"))
    if found is None:
        raise WeightsError(f"{beside}: holds no sha256; delete it, or fetch it again.")
    return found[0]


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file.

    :raises WeightsError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}.") from error

"""Load the networks that a command uses."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.console import progress_bar

# torch, polars and decord take seconds to import: each command imports what it uses
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emonext.checkpoint import Card
    from emonext.evaluation import Recut
    from emonext.preprocessing import Preprocessing
    from pipeline.faces.detection import CropSpec
    from pipeline.identity.embedding import Embedder
    from pipeline.processing.session import Networks


def make_networks(
    model: str,
    device: str,
    min_face_px: int = 40,
    network: tuple[Path, str] | None = None,
    *,
    cores: int | None = None,
    sha256: str | None = None,
    key: Path | None = None,
) -> "Networks":
    """All networks of a session, on one device: detector, classifier, face mesh, voice, and face embedder.

    :param network: file and sha256 of the face embedder, from :func:`find_identity_file`.
    :param cores: processor cores to use; ``None``: all.
    :param sha256: expected sha256 of the classifier's weights.
    :param key: key file for encryption; workers on other machines read the same path.
    :raises WeightsError: the weights have another sha256.
    """
    from emonext import Classifier
    from emonext.errors import WeightsError
    from pipeline.faces.upright import UprightCascade
    from pipeline.processing.session import Networks
    from pipeline.sound.voice import VoiceReader
    from pipeline.store.encryption import use_key

    use_key(key)
    with suppress(ImportError, OSError):  # decord has no wheel for some systems
        import decord

        # the timeline records damaged frames already
        decord.logging.set_level(decord.logging.QUIET)
    share_processor(cores)
    classify = Classifier(model, device)
    if sha256 not in (None, classify.sha256):
        raise WeightsError(
            f"{model}: its sha256 is {classify.sha256[:12]}…, but {sha256[:12]}… on the other machines."
        )
    prepare = classify.card.preprocessing
    cascade = UprightCascade(min_face_px, classify.device)
    return Networks(
        detect=cascade,
        refine=cascade.refine,
        search=cascade,
        classify=classify.read,
        read_states=cascade.read_states,
        hear=VoiceReader(classify.device),
        crop_spec=crop_of(prepare),
        weights={
            "name": classify.card.name,
            "sha256": classify.sha256,
            "reads": "votes" if classify.card.architecture.votes else "labels",
            "temperature": classify.temperature,
            "preprocessing": prepare.to_dict(),
        },
        device=str(classify.device),
        make_embedder=partial(make_embedder, network),
    )


def find_identity_file(identity: str) -> tuple[Path, str] | None:
    """Parse :data:`Identity` and verify the file → file and sha256; ``None`` for dlib."""
    from pipeline.errors import InputError
    from pipeline.identity.embedding import check_sha256

    if identity == "dlib":
        return None
    path, _, sha256 = identity.rpartition(":")
    if not path:
        raise InputError(f"--identity {identity}: give dlib, or FILE:SHA256.")
    return check_sha256(
        Path(path).absolute(), sha256, "give the sha256 that its maker states"
    ), sha256.lower()


def make_embedder(file: tuple[Path, str] | None) -> "Embedder":
    """The network that turns faces into embeddings."""
    if file is None:
        from pipeline.identity.embedding import DlibEmbedder

        return DlibEmbedder()
    from pipeline.identity.facenet import FacenetEmbedder

    return FacenetEmbedder(*file)


def share_processor(cores: int | None = None) -> None:
    """Give PyTorch half of the cores; decoding runs at the same time and uses the other half."""
    import torch

    from pipeline.processing.workers import usable_cores

    # with more jobs than cores, `cores` is 0; one thread is the minimum
    torch.set_num_threads(max(1, (usable_cores() if cores is None else cores) // 2))


def crop_of(prepare: "Preprocessing") -> "CropSpec":
    """The pipeline's crop specification for a classifier's preprocessing."""
    from pipeline.faces.detection import CropSpec

    return CropSpec(prepare.crop_px, prepare.face_scale, prepare.face_shift)


def recut_with_pipeline(card: "Card", device: str) -> "Recut":
    """A function that crops benchmark images with the pipeline's own detector, as in a session's video."""
    from emonext.device import choose_device
    from pipeline.checks.video_crops import recut
    from pipeline.faces.detection import DEFAULT_MIN_FACE_PX
    from pipeline.faces.upright import UprightCascade

    crop_spec = crop_of(card.preprocessing)
    detect = UprightCascade(DEFAULT_MIN_FACE_PX, choose_device(device)).at_any_angle

    def cut(images: "NDArray[np.uint8]") -> "tuple[NDArray[np.uint8], NDArray[np.bool_]]":
        with progress_bar("Finding faces") as update:
            found = recut(images, detect, crop_spec, update)
        return found.crops, found.found

    return cut

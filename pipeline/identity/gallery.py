"""Store face embeddings of a patient from confirmed sessions, as references for later sessions.

Only embeddings are stored, only of the patient, in the study's folder: they are encrypted with the folder and
purged with the patient.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.identity.embedding import Embedder
from pipeline.records import Ids
from pipeline.stats.spread import spread
from pipeline.store.folders import GALLERY
from pipeline.store.parquet import as_frame, malformed_as_timeline_error, read_table, to_table, write_table

GALLERY_SCHEMA = pa.schema(
    [
        pa.field(
            "network", pa.string(), metadata={"meaning": "sha256 of the network that embedded the face"}
        ),
        pa.field("embedding", pa.list_(pa.float32()), metadata={"meaning": "one face of the patient"}),
    ]
)

# Faces stored per session, spread over its time. With more faces, a stranger is more likely to be near one.
_MOST_FACES = 12


def gallery_path(out: Path, patient_id: str, session_id: str) -> Path:
    return out / GALLERY / f"patient_id={patient_id}" / f"{session_id}.parquet"


def read_gallery(out: Path, patient_id: str, except_session: str, embed: Embedder) -> NDArray[np.float32]:
    """(g, D) embeddings of the patient's other sessions, from the same network; g may be 0.

    :raises TimelineError: a file is damaged, or encrypted with another key.
    """
    found = [
        embedding
        for path in _files(out, patient_id)
        if path.stem != except_session
        for embedding in _read(path, embed.name)
    ]
    return np.stack(found) if found else np.zeros((0, 0), np.float32)


def write_gallery(out: Path, ids: Ids, embeddings: NDArray[np.float32], network: str) -> None:
    """Store some of these faces of the patient; without any, remove the session's stored faces.

    :param embeddings: (n, D), in any order. ``network``: the embedder's name.
    :raises OutputError: the file can't be written.
    """
    path = gallery_path(out, *ids)
    if not len(embeddings):
        path.unlink(missing_ok=True)
        return
    rows = embeddings[spread(len(embeddings), _MOST_FACES)].tolist()
    table = to_table(GALLERY_SCHEMA, {"network": [network] * len(rows), "embedding": rows})
    write_table(path, table, {})


def _files(out: Path, patient_id: str) -> list[Path]:
    return sorted(gallery_path(out, patient_id, "").parent.glob("*.parquet"))


def _read(path: Path, network: str) -> Iterator[NDArray[np.float32]]:
    rows = as_frame(read_table(path))
    with malformed_as_timeline_error(path):
        for name, embedding in rows.select(GALLERY_SCHEMA.names).iter_rows():
            if name == network:
                yield np.array(embedding, np.float32)

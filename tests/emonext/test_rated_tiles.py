"""datasets.rated_tiles against tiles whose grey level is their number."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emonext.datasets.forms import load_faces
from emonext.errors import DataError

HEAD = "tile,split,age," + ",".join(
    f"votes_{label}" for label in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
)


def folder_of(tmp_path: Path, *lines: str, side: int = 48) -> Path:
    levels = np.arange(64, dtype=np.uint8).reshape(2, 32)
    Image.fromarray(levels.repeat(side, axis=0).repeat(side, axis=1)).save(tmp_path / "old_faces.png")
    (tmp_path / "old_votes.csv").write_text("\n".join([HEAD, *lines]) + "\n")
    return tmp_path


def test_votes_become_shares_and_the_first_choice(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path, "33,val,71,0,0,0,2,0,0,8", "0,train,60,10,0,0,0,0,0,0", "5,val,80,0,0,0,6,0,0,4"
    )
    found = load_faces(source, "val")
    assert found.images.shape == (2, 48, 48)
    assert found.images[:, 0, 0].tolist() == [33, 5]
    assert found.labels.tolist() == [-1, -1]
    assert found.majority.tolist() == [6, 3]
    np.testing.assert_allclose(found.votes[0], [0, 0, 0, 0.2, 0, 0, 0.8])
    assert found.groups["age"].tolist() == ["71", "80"]
    assert load_faces(source, "train").images[0, 0, 0] == 0


def test_tiles_of_another_size_are_scaled(tmp_path: Path) -> None:
    source = folder_of(tmp_path, "33,val,71,0,0,0,2,0,0,8", side=112)
    assert (load_faces(source, "val").images == 33).all()
    assert load_faces(source, "val", size=112).images.shape == (1, 112, 112)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("64,val,71,0,0,0,2,0,0,8", "expected 65 grey tiles, 32 a row"),
        ("x,val,71,0,0,0,2,0,0,8", "not the expected content"),
        ("1,val,71,0,0,0,0,0,0,0", "a tile without votes"),
        ("1,val,71,0,0,0,nan,0,0,3", "a tile without votes"),
        ("1,train,71,0,0,0,1,0,0,3", "no face in its val split"),
    ],
)
def test_a_table_that_does_not_fit_is_an_error_that_names_the_file(
    tmp_path: Path, line: str, error: str
) -> None:
    with pytest.raises(DataError, match=rf"old_.*{error}"):
        load_faces(folder_of(tmp_path, line), "val")


def test_the_shared_faces_are_read(shared: Path) -> None:
    val, train = (load_faces(shared / "data/older", split) for split in ("val", "train"))
    assert (len(val), len(train)) == (200, 760)
    assert np.bincount(val.majority, minlength=7)[[3, 6]].tolist() == [101, 87]
    assert set(val.groups) == {"age", "raters", "flags"}

"""processing.study_settings: valid and invalid settings in study.toml."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from session_lists import damage

from pipeline.errors import InputError
from pipeline.processing.session import QualityLimits, Settings
from pipeline.processing.study_settings import choose_decimal, keep_list_decimal, read_settings

# --- settings


def put_settings(folder: Path, content: bytes | str) -> Path:
    (folder / "study.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_no_file_and_an_empty_one_are_no_settings(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == {}
    assert read_settings(put_settings(tmp_path, "")) == {}


def test_every_setting_can_be_given(tmp_path: Path) -> None:
    text = (
        "\ufeffsample_fps = 10\r\nmin_face_px = 30\nbatch_size = 8\npatient_track = '2'\nmax_gap_s = 0\n"
        "key_interval_s = 0.5\nmodel = 'atto'\ndevice = 'cpu'\njobs = 4\n[quality]\nmax_yaw = 45\n"
    )
    settings = read_settings(put_settings(tmp_path, text))
    assert settings == {
        "sample_fps": 10,
        "min_face_px": 30,
        "batch_size": 8,
        "patient_track": "2",
        "max_gap_s": 0,
        "key_interval_s": 0.5,
        "model": "atto",
        "device": "cpu",
        "jobs": 4,
        "quality": {"max_yaw": 45},
    }
    assert isinstance(settings["sample_fps"], float)


def test_the_defaults_written_down_are_read_as_they_are(tmp_path: Path) -> None:
    """Whatever can be set can be set here."""
    defaults = {
        field.name: field.default
        for field in fields(Settings)
        if isinstance(field.default, int | float | str)
    }
    limits = {field.name: field.default for field in fields(QualityLimits)}
    lines = [
        f"{name} = {str(value).lower() if value is False else repr(value)}"
        for name, value in defaults.items()
    ]
    lines += ["[quality]", *(f"{name} = {value!r}" for name, value in limits.items())]
    assert read_settings(put_settings(tmp_path, "\n".join(lines))) == defaults | {"quality": limits}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sample_fsp = 5", "'sample_fsp' is no setting; did you mean sample_fps?"),
        ("zzz = 5", "'zzz' is no setting; there are sample_fps"),
        ("[quality]\nmax_yow = 5", "'quality.max_yow' is no setting; did you mean max_yaw?"),
        ("[qualiti]\nmax_yaw = 5", "did you mean quality?"),
        ("sample_fps = '5'", "sample_fps: give a number"),
        ("sample_fps = true", "sample_fps: give a number"),
        ("sample_fps = nan", "sample_fps: give a number"),
        ("max_gap_s = -1", "max_gap_s: give a number, 0 or above"),
        ("max_gap_s = inf", "max_gap_s: give a number"),
        (f"max_gap_s = 0x{'f' * 5000}", "max_gap_s: give a number"),
        ("batch_size = 8.0", "batch_size: give a whole number above 0"),
        ("jobs = 0", "jobs: give a whole number above 0"),
        ("jobs = true", "jobs: give a whole number"),
        ("patient_track = 2", "patient_track: give a text in quotes"),
        ("device = []", "device: give a text"),
        ("model = {}", "model: give a text"),
        ("quality = 5", r"quality: give a table: \[quality\]"),
        ("[[quality]]\nmax_yaw = 5", r"quality: give a table"),
        ("[quality]\nmax_yaw = 'x'", "quality.max_yaw: give a number"),
        ("sample_fps = 0", "sample_fps 0: give samples per second"),
        ("patient_track = 'left'", "give longest, largest or"),
        ("sample_fps 5", "not TOML .*line 1"),
        ("jobs = 1\njobs = 2", "not TOML"),
        ("model = " + "[" * 20_000, "too long for a settings file"),
        (b"model = '\xff'", "not text in UTF-8"),
        (b"model = '\0'", "not text"),
    ],
)
def test_wrong_settings_are_refused_by_file_and_key(tmp_path: Path, text: bytes | str, expected: str) -> None:
    with pytest.raises(InputError, match=rf"study\.toml: .*{expected}"):
        read_settings(put_settings(tmp_path, text))


def test_a_folder_named_like_the_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.toml").mkdir()
    with pytest.raises(InputError, match=r"study\.toml: is a folder"):
        read_settings(tmp_path)


def test_damaged_settings_are_settings_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = b"sample_fps = 5.0\npatient_track = 'longest'\njobs = 4\n[quality]\nmax_yaw = 45\n"
    for _ in range(300):
        try:
            assert isinstance(read_settings(put_settings(tmp_path, damage(whole, rng))), dict)
        except InputError as error:
            assert "study.toml" in str(error)  # noqa: PT017 — some are read


def test_the_decimal_mark_is_chosen_once(tmp_path: Path) -> None:
    assert choose_decimal(tmp_path, None) == "point"
    keep_list_decimal(tmp_path, "point")
    assert not (tmp_path / "study.toml").exists()
    keep_list_decimal(tmp_path, choose_decimal(tmp_path, "comma"))
    assert read_settings(tmp_path) == {"decimal": "comma"}
    assert choose_decimal(tmp_path, None) == choose_decimal(tmp_path, "comma") == "comma"
    with pytest.raises(InputError, match=r'study\.toml: exists; write decimal = "point" as its first line'):
        choose_decimal(tmp_path, "point")

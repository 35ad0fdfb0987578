"""Encrypt results with the study's key.

Parquet files use Parquet's own encryption (AES-GCM, 256 bits): each file has its own data keys, wrapped with
the study's key (RFC 3394), so that other tools for this format can read the files with the key. Unfinished
chunks are sealed with AES-GCM. Pages, status and logs are not encrypted.

The key in use applies to the whole process and its child processes.
"""

import base64
import hashlib
import os
import secrets
from functools import cache
from pathlib import Path

import pyarrow.parquet.encryption as pqe
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from pipeline.errors import InputError, OutputError
from pipeline.store.folders import refuse_folder

# Environment variable with the path of the key file, for child processes and notebooks.
_VARIABLE = "EMONEXT_KEY_FILE"

_KEY_BYTES, _NONCE_BYTES = 32, 12

_ITERATIONS = 600_000
"""Of PBKDF2 with SHA-256 (OWASP 2023)."""
_KEY_NAME = "emonext"

# First bytes of an encrypted Parquet file; a plaintext file begins with PAR1.
ENCRYPTED = b"PARE"


def write_key(path: Path) -> Path:
    """Write a new key, readable only by the owner.

    :raises InputError: the path is a folder.
    :raises OutputError: the file exists, or can't be written.
    """
    refuse_folder(path, "a file name")
    try:
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode() + "\n")
    except FileExistsError as error:
        raise OutputError(f"{path}: exists already; a key is never overwritten.") from error
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}).") from error
    return path


def use_key(path: Path | None) -> None:
    """Use this key to encrypt later writes and decrypt later reads.

    :param path: ``None`` keeps the key of the environment variable, if it is set.
    :raises InputError: the file is no key.
    """
    if path is not None:
        _read_key(path.absolute())
        os.environ[_VARIABLE] = str(path.absolute())
    _key()  # refuse a wrong file in the environment before any work


def use_no_key() -> None:
    """Write plaintext from now on, even if the environment variable names a key."""
    os.environ.pop(_VARIABLE, None)


def key_file() -> Path | None:
    """The absolute path of the key in use; ``None`` without a key."""
    path = os.environ.get(_VARIABLE)
    return Path(path).absolute() if path else None


def key_id() -> str:
    """An id of the key that does not reveal the key; empty without a key."""
    key = _key()
    return hashlib.sha256(b"id" + key).hexdigest()[:16] if key else ""


def is_encrypted(path: Path) -> bool:
    """Whether a Parquet file is encrypted.

    :raises OSError: it can't be read.
    """
    with path.open("rb") as file:
        return file.read(len(ENCRYPTED)) == ENCRYPTED


def for_writing() -> "pqe.FileEncryptionProperties | None":
    """Properties for :func:`pyarrow.parquet.write_table`; ``None`` without a key."""
    key = _key()
    if key is None:
        return None
    how = pqe.EncryptionConfiguration(
        footer_key=_KEY_NAME, uniform_encryption=True, data_key_length_bits=8 * _KEY_BYTES
    )
    return _factory(key).file_encryption_properties(pqe.KmsConnectionConfig(), how)


def for_reading(path: Path) -> "pqe.FileDecryptionProperties | None":
    """Properties for :func:`pyarrow.parquet.read_table`; ``None`` if the file is not encrypted.

    :raises InputError: the file is encrypted, and no key is in use.
    :raises OSError: it can't be read.
    """
    if not is_encrypted(path):
        return None
    key = _key()
    if key is None:
        raise InputError(
            f"{path}: is encrypted; give its key with --key KEYFILE (`process`: --encrypt KEYFILE)."
        )
    return _factory(key).file_decryption_properties(pqe.KmsConnectionConfig())


def new_password() -> str:
    """A random password of 16 letters and digits, without those that look alike."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def seal_with_password(data: bytes, password: str) -> dict[str, str | int]:
    """Encrypt bytes so that a browser can decrypt them with the password: PBKDF2 and AES-GCM (256 bits).

    :returns: salt, nonce and data in base64, and the number of iterations.
    """
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(_NONCE_BYTES)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS, _KEY_BYTES)
    sealed = {"salt": salt, "nonce": nonce, "data": AESGCM(key).encrypt(nonce, data, None)}
    return {name: base64.b64encode(value).decode() for name, value in sealed.items()} | {
        "iterations": _ITERATIONS
    }


def seal(data: bytes) -> bytes:
    """Encrypt bytes; without a key, return them unchanged."""
    key = _key()
    if key is None:
        return data
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, None)


def unseal(data: bytes) -> bytes:
    """:raises ValueError: the data were sealed with another key, or changed."""
    key = _key()
    if key is None:
        return data
    try:
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)
    except InvalidTag as error:
        raise ValueError("sealed with another key, or changed") from error


def _key() -> bytes | None:
    path = key_file()
    return None if path is None else _read_key(path)


@cache
def _read_key(path: Path) -> bytes:
    try:
        key = base64.b64decode(path.read_text("utf-8").strip(), validate=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read as a key; `emonext key FILE` makes one.") from error
    if len(key) != _KEY_BYTES:
        raise InputError(f"{path}: holds {len(key)} bytes, not a key's {_KEY_BYTES}; is it the right file?")
    return key


WRONG_KEY = "encrypted with another key"


class _OwnKey(pqe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Wrap the files' data keys with the study's key, without a key server."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._own = key

    def wrap_key(self, key_bytes: bytes, _: str) -> str:
        return base64.b64encode(aes_key_wrap(self._own, key_bytes)).decode()

    def unwrap_key(self, wrapped_key: str, _: str) -> bytes:
        try:
            return aes_key_unwrap(self._own, base64.b64decode(wrapped_key))
        except InvalidUnwrap as error:
            raise ValueError(WRONG_KEY) from error


# A factory caches unwrapped keys; use one factory per key, or a wrong key would succeed.
@cache
def _factory(key: bytes) -> pqe.CryptoFactory:
    return pqe.CryptoFactory(lambda _: _OwnKey(key))

"""Results that only who has the key can read.

Parquet files use Parquet's own encryption (AES-GCM, 256 bits): each file has data keys of its own, which the
study's key wraps (RFC 3394), so that other tools that know the format can read it with that key. Unfinished
stretches are sealed with AES-GCM. Pages, status and logs are not encrypted.

The key in use holds for the whole process, and for the processes that it starts.
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

# Where other processes, and notebooks, find it; it names the file, and is not the key.
_VARIABLE = "EMONEXT_KEY_FILE"

_KEY_BYTES, _NONCE_BYTES = 32, 12
_KEY_NAME = "emonext"

# How an encrypted Parquet file begins; one that is not encrypted begins with PAR1.
ENCRYPTED = b"PARE"


def write_key(path: Path) -> Path:
    """Makes a new key, readable by its owner only.

    :raises OutputError: there is such a file, or it can't be written.
    """
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
    """Encrypt with this key what is written from now on, and decrypt what is read.

    :param path: None keeps the key that the environment names, if it names one.
    :raises InputError: the file is no key.
    """
    if path is not None:
        _read_key(path.absolute())
        os.environ[_VARIABLE] = str(path.absolute())
    _key()  # a wrong file in the environment is refused before any work


def use_no_key() -> None:
    """Write plaintext from now on, also where the environment names a key."""
    os.environ.pop(_VARIABLE, None)


def key_file() -> Path | None:
    """The absolute path of the key in use; None where none is in use."""
    path = os.environ.get(_VARIABLE)
    return Path(path).absolute() if path else None


def key_id() -> str:
    """Tells keys apart without telling the key; empty where none is in use."""
    key = _key()
    return hashlib.sha256(b"id" + key).hexdigest()[:16] if key else ""


def is_encrypted(path: Path) -> bool:
    """Of a Parquet file.

    :raises OSError: it can't be read.
    """
    with path.open("rb") as file:
        return file.read(len(ENCRYPTED)) == ENCRYPTED


def for_writing() -> "pqe.FileEncryptionProperties | None":
    """For :func:`pyarrow.parquet.write_table`; none where no key is in use."""
    key = _key()
    if key is None:
        return None
    how = pqe.EncryptionConfiguration(
        footer_key=_KEY_NAME, uniform_encryption=True, data_key_length_bits=8 * _KEY_BYTES
    )
    return _factory(key).file_encryption_properties(pqe.KmsConnectionConfig(), how)


def for_reading(path: Path) -> "pqe.FileDecryptionProperties | None":
    """For :func:`pyarrow.parquet.read_table`; none where the file is not encrypted.

    :raises InputError: it is, and no key is in use.
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


def seal(data: bytes) -> bytes:
    """As it is where no key is in use."""
    key = _key()
    if key is None:
        return data
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, None)


def unseal(data: bytes) -> bytes:
    """:raises ValueError: it was sealed with another key, or changed."""
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
    """Wraps the files' keys with the study's; no server is asked."""

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


# A factory remembers keys that it has unwrapped: one for each key, or a wrong key would do.
@cache
def _factory(key: bytes) -> pqe.CryptoFactory:
    return pqe.CryptoFactory(lambda _: _OwnKey(key))

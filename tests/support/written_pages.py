"""Pages as files."""

from collections.abc import Iterable
from pathlib import Path

from reports.assets import INLINE, Assets
from reports.index_data import IndexEntry
from reports.pages.index import index_page
from reports.pages.session import session_page
from reports.render import write_page
from reports.session_data import SessionMaterial
from reports.words.language import ENGLISH, Language


def write_session_report(
    material: SessionMaterial, path: Path, language: Language = ENGLISH, assets: Assets = INLINE
) -> Path:
    return write_page(path, session_page(material, language, assets))


def write_index(entries: Iterable[IndexEntry], path: Path, language: Language = ENGLISH) -> Path:
    return write_page(path, index_page(entries, language, INLINE))

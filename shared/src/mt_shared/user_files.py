"""Files that users name: why there is none of that name, and what one is if not what it should be.

Whatever reads a file of a user asks here, so that one mistake is told in the same words everywhere,
whether an options file, data, a model or a checkpoint was meant.
"""

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mt_shared.errors import did_you_mean, plain_number, shortened

XYZ_SUFFIXES = (".xyz", ".extxyz")

_QUOTES = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"


def missing(path: str | Path, what: str = "file") -> str:
    """Why there is no file of that name, and what to do.

    :param what: what the user has named, such as ``model``
    """
    # a Path has made one slash of the two of an address
    text = re.sub(r"^(\w{2,}):/+", r"\1://", str(path))
    problem = f"there is no {what} '{shortened(text, 200)}'"
    expanded = re.sub(r"^~(?=/|$)", lambda _: str(Path.home()), os.path.expandvars(text))
    plain, folder = plain_number(text), Path(text).parent
    if "://" in text:
        return f"{problem}: it is an address; download it first, and name the file"
    if expanded != text:
        return f"{problem}: only a shell expands ~ and variables; write '{expanded}'"
    if "$" in text:
        return f"{problem}: only a shell expands variables, and this one is not set"
    if text.strip(_QUOTES) != text:
        return f"{problem}: the quotes are part of the name; write {text.strip(_QUOTES)}"
    if plain is not None:
        return f"{problem}; if a number is meant, write {plain}, without quotes"
    if re.search(r"[*?]|\[.+\]", text):
        fitting = sorted(folder.glob(Path(text).name)) if folder.is_dir() else []
        found = f"; it fits '{fitting[0]}'" if fitting else ""
        found += f" and {len(fitting) - 1} more" if len(fitting) > 1 else ""
        return f"{problem}: patterns are not expanded here, name one file{found}"
    if "\\" in text and os.sep == "/":
        return f"{problem}: write / between folders, not \\"
    if not folder.is_dir():
        return f"{problem}, and no folder '{folder}'{_from_here(text)}"
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    return f"{problem}{did_you_mean(Path(text).name, names) or _from_here(text)}"


def _from_here(path: str) -> str:
    return (
        "" if Path(path).is_absolute() else f"; paths count from {Path.cwd()}, where mt was started"
    )


@dataclass(frozen=True)
class Kind:
    """What a file is, as its first bytes tell, and what a user can do who meant something else.

    ``may_be_data``: there are readers of structures for it, which a name may call for.
    """

    name: str
    todo: str = ""
    may_be_data: bool = False


FOLDER = Kind("a folder", "name a file in it")
EMPTY = Kind("empty")
XYZ = Kind("a file of structures", may_be_data=True)
# what may be YAML: the comment of another file may look like it
OPTIONS = Kind("text like options", may_be_data=True)
EXPORTED_MODEL = Kind("an exported model")
CHECKPOINT = Kind("a checkpoint, or another file of torch")
CUT_OFF = Kind("a zip archive that is cut off", "copy it again")
BINARY = Kind("a binary file of an unknown kind", may_be_data=True)
_OF_METATRAIN = "mt does not read those of metatrain; write its structures as extended xyz"
MEMORY_MAPPED = Kind("a memory-mapped data set", _OF_METATRAIN)
_UNPACK = "unpack it first"
_WEB_PAGE = Kind("a web page", "download the file itself, not the page about it")
# in small letters; the first that fits
_BEGINNINGS = (
    (b"\x1f\x8b", Kind("compressed by gzip", _UNPACK, may_be_data=True)),
    (b"bzh", Kind("compressed by bzip2", _UNPACK, may_be_data=True)),
    (b"\xfd7zxz\x00", Kind("compressed by xz", _UNPACK, may_be_data=True)),
    (b"\x28\xb5\x2f\xfd", Kind("compressed by zstd", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (b"- of ulm", Kind("a trajectory of ASE", may_be_data=True)),
    (b"sqlite format 3", Kind("a database", may_be_data=True)),
    (b"\x89hdf", Kind("an HDF5 file", "write its structures as extended xyz", may_be_data=True)),
    (b"\xff\xfe", Kind("text in UTF-16", "save it as UTF-8")),
    (b"\xfe\xff", Kind("text in UTF-16", "save it as UTF-8")),
    (b"version https://git-lfs", Kind("a pointer of Git LFS to the file", "run git lfs pull")),
    (b"<!doctype html", _WEB_PAGE),
    (b"<html", _WEB_PAGE),
    (b"%pdf", Kind("a PDF")),
    (b"\x89png", Kind("a picture")),
    (b"\xff\xd8\xff", Kind("a picture")),
)
_BYTES_TO_LOOK_AT = 1024
# a key, an item of a list, or a bracket of JSON
_FIRST_OF_OPTIONS = re.compile(rb"""- |[{\[]|["']?[A-Za-z_]\w*["']?\s*:(\s|$)""")


def kind_of(path: str | Path) -> Kind | None:
    """What a file or a folder is, by its first bytes; None: other text.

    :raises OSError: it cannot be read
    """
    if Path(path).is_dir():
        return MEMORY_MAPPED if Path(path, "ns.npy").is_file() else FOLDER
    # a pipe, such as <(...) of a shell, can be read once, and not here
    if Path(path).exists() and not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        # of a text by Windows' editor the first three bytes say that it is UTF-8
        head = file.read(_BYTES_TO_LOOK_AT).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return EMPTY
    for beginning, kind in _BEGINNINGS:
        if head.lower().startswith(beginning):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(path)
    first, _, others = head.partition(b"\n")
    if first.strip().isdigit() and others.strip():
        return XYZ
    if b"\x00" in head:
        return BINARY
    lines = (line.strip() for line in head.splitlines())
    significant = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return OPTIONS if _FIRST_OF_OPTIONS.match(significant) else None


def _kind_of_archive(path: str | Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return CUT_OFF
    if any("/code/" in name for name in names):
        return EXPORTED_MODEL
    if any(name.endswith("data.pkl") for name in names):
        return CHECKPOINT
    if any(re.match(r"\d+/system\.mta$", name) for name in names):
        return Kind("a data set on disk", _OF_METATRAIN)
    if any(name.endswith(".npy") for name in names):
        return Kind("a file of arrays", may_be_data=True)
    return Kind("a zip archive", _UNPACK)


def fault_of_data(path: str) -> str | None:
    """Why a file with structures or labels cannot be read, as far as its first bytes tell."""
    expected = "a file of structures or labels"
    if not Path(path).exists():
        return missing(path)
    if not os.access(path, os.R_OK):
        return f"'{path}' may not be read; ask its owner for the permission"
    kind = kind_of(path)
    if Path(path).suffix in XYZ_SUFFIXES:
        return None if kind in (None, XYZ, OPTIONS) else mistaken(path, "extended xyz", kind)
    return None if kind is None or kind.may_be_data else mistaken(path, expected, kind)


def mistaken(path: str | Path, expected: str, kind: Kind | None) -> str:
    """That a file is of another kind than ``expected``, and what to do."""
    found = "some other text" if kind is None else kind.name
    todo = f": {kind.todo}" if kind and kind.todo else ""
    return f"'{path}' is {found}{todo}; expected {expected}"


def not_utf8(path: str | Path) -> str:
    """Where a file is no text in UTF-8, and what to do."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                letter = line[error.start : error.start + 1].decode("latin-1")
                return (
                    f"'{path}', line {number}: no text in UTF-8 (in Latin-1 there would be "
                    f"'{letter}'); convert it: iconv -f latin1 -t utf-8 {path} > NEW"
                )
    return f"'{path}' is no text in UTF-8"

"""``mt example``: copies of the options and data that are shipped with this package."""

from __future__ import annotations

import shutil
from pathlib import Path

from mt_shared.errors import UserError, did_you_mean

EXAMPLES = Path(__file__).parent


def names(examples: Path = EXAMPLES) -> list[str]:
    """The examples that can be copied."""
    return sorted(folder.name for folder in examples.iterdir() if _is_example(folder))


def copy(name: str, folder: Path, examples: Path = EXAMPLES) -> list[Path]:
    """Copy the files of an example into a folder, which is made if need be.

    :returns: the copies
    :raises UserError: an unknown name, or a file that is there already; then nothing is copied
    """
    known = names(examples)
    if name not in known:
        raise UserError(
            f"there is no example '{name}'{did_you_mean(name, known)}; there are: "
            + (", ".join(known) or "none")
        )
    sources = sorted(path for path in (examples / name).iterdir() if path.is_file())
    copies = {source: folder / _copied_name(source, name) for source in sources}
    taken = [str(copy) for copy in copies.values() if copy.exists()]
    if taken:
        raise UserError(
            f"nothing was copied, since these files are there already: {', '.join(taken)}; "
            f"move them away or name another folder: mt example {name} FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in copies.items():
        shutil.copyfile(source, target)
    return list(copies.values())


def _copied_name(source: Path, name: str) -> str:
    # the folder may be a project of the user's, which has a README of its own
    return f"{name}.md" if source.name == "README.md" else source.name


def _is_example(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(("_", "."))

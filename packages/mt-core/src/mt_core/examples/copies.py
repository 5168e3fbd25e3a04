"""``mt example``: copies of the options and data that are shipped with this package."""

import shutil
from pathlib import Path

from mt_shared.errors import UserError, did_you_mean

EXAMPLES = Path(__file__).parent


def names(examples: Path = EXAMPLES) -> list[str]:
    """The examples that can be copied."""
    folders = (each for each in examples.iterdir() if each.is_dir())
    return sorted(each.name for each in folders if not each.name.startswith(("_", ".")))


def copy(name: str, folder: Path, examples: Path = EXAMPLES) -> list[Path]:
    """Copy the files of an example into a folder, which is made if need be."""
    known = names(examples)
    if name not in known:
        raise UserError(
            f"there is no example '{name}'{did_you_mean(name, known)}; there are: "
            + (", ".join(known) or "none")
        )
    sources = sorted(path for path in (examples / name).iterdir() if path.is_file())
    # the folder may be a project of the user's, which has a README of its own
    renamed = {"README.md": f"{name}.md"}
    copies = {source: folder / renamed.get(source.name, source.name) for source in sources}
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

"""A breakage as data: what is broken, which test must see it, what it must say."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mt_shared.options import read_yaml


@dataclass(frozen=True)
class Toy:
    """One toy on the disk, in a folder of its own that goes into PYTHONPATH."""

    folder: Path
    module: str

    @property
    def package(self) -> Path:
        return self.folder / self.module

    @property
    def changed_command(self) -> Path:
        """Copies of our own packages, changed: they come first for the commands of this toy."""
        return self.folder / "command"


Change = Callable[[Toy], None]


@dataclass(frozen=True)
class Breakage:
    """One way to be wrong.

    :param name: of the toy; what is wrong, in a few words
    :param fails: the test that must see it, with words of its message; more than one where the
        toy takes long. Named as ``test_function`` or ``test_function[parameter]`` of the file that
        the module of the breakage is named after, or ``file.py::test_function``
    :param passes: neighbours that must not mind, named in the same way
    :param changes: what is done to a sound toy
    :param base: which sound toy, by its name in ``building.BASES``
    """

    name: str
    fails: dict[str, str]
    passes: tuple[str, ...]
    changes: tuple[Change, ...]
    base: str = "epochs"

    @property
    def architecture(self) -> str:
        return f"toy_{self.name}"


def breakage(
    name: str,
    *changes: Change,
    fails: str,
    says: str,
    passes: str | list[str],
    also: dict[str, str] | None = None,
    base: str = "epochs",
) -> Breakage:
    """A breakage that one test sees, or ``also`` others; the neighbours may be one string."""
    # there are spaces in names of parameters
    neighbours = re.split(r"\s+(?=test_)", passes) if isinstance(passes, str) else passes
    return Breakage(name, {fails: says} | (also or {}), tuple(neighbours), changes, base)


# ---- changes of files


def edited(file: str, old: str, new: str) -> Change:
    """Text of one of its files, replaced; it must be there."""

    def apply(toy: Toy) -> None:
        path = toy.package / file
        path.write_text(_replace(path.read_text(encoding="utf-8"), old, new), encoding="utf-8")

    return apply


def appended(file: str, text: str) -> Change:
    """Text at the end of one of its files, which may be new."""

    def apply(toy: Toy) -> None:
        (toy.package / file).parent.mkdir(exist_ok=True)
        with (toy.package / file).open("a", encoding="utf-8") as opened:
            opened.write("\n" + textwrap.dedent(text))

    return apply


def edited_metadata(pattern: str, new: str) -> Change:
    """The metadata of its distribution, by a regular expression over all lines."""

    def apply(toy: Toy) -> None:
        (path,) = toy.folder.glob(f"{toy.module}-*.dist-info/METADATA")
        text, number = re.subn(pattern, new, path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert number, f"there is nothing like {pattern!r} in the metadata"
        path.write_text(text, encoding="utf-8")

    return apply


def removed(file: str) -> Change:
    """Without one of its files."""
    return lambda toy: (toy.package / file).unlink()


def without(file: str, name: str) -> Change:
    """Without one of the assignments of a Python file."""

    def apply(toy: Toy) -> None:
        path = toy.package / file
        source = path.read_text(encoding="utf-8")
        path.write_text(_replace(source, _assignment(source, name), ""), encoding="utf-8")

    return apply


def set_value(file: str, place: str, value: Any) -> Change:
    """A value of one of its YAML or JSON files, at a place such as ``targets.scalar``."""

    def apply(toy: Toy) -> None:
        path = toy.package / file
        values = read_yaml(path)
        *parents, last = place.split(".")
        section = values
        for parent in parents:
            section = section[parent]
        section[last] = value
        path.write_text(json.dumps(values, indent=1), encoding="utf-8")

    return apply


def keeps_a_checkpoint(name: str) -> Change:
    """A checkpoint of what the toy is up to here, among those that it keeps."""

    def apply(toy: Toy) -> None:
        folder = toy.package / "checkpoints"
        folder.mkdir()
        architecture = toy.module.removeprefix("mt_")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _TRAIN, architecture, str(folder)],
            env=os.environ | {"PYTHONPATH": str(toy.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (folder / "model.ckpt").rename(folder / name)

    return apply


_TRAIN = """
import sys, tempfile, torch
from pathlib import Path
from dataclasses import replace
from mt_conformance.inputs import ENERGY, distorted, subject_of

subject, folder = subject_of(sys.argv[1]), Path(sys.argv[2])
info = subject.dataset_info()
info = replace(info, targets={ENERGY: info.targets[ENERGY]})
model = subject.model_class(subject.resolved.model, info)
hypers = subject.resolved.training | {"num_epochs": 1, "ema_decay": 0.9}
trainer = subject.architecture.trainer_class(hypers)
with tempfile.TemporaryDirectory() as scratch:
    data = [distorted(info)]
    trainer.train(model, torch.float64, [torch.device("cpu")], data, data, Path(scratch))
trainer.save_checkpoint(model, folder / "model.ckpt")
"""


# ---- changes of the classes

_SUBCLASS = """
from mt_shared.model.base import *
from mt_shared.model.outputs import *
from mt_shared.engine.trainer import *
from {module} import __model__ as SoundModel
from {module} import __trainer__ as SoundTrainer

{before}
class Broken{part}(Sound{part}):
{body}
"""


def model(body: str, before: str = "") -> Change:
    """Methods and attributes of the model's class.

    :param before: functions that they call, or imports
    """
    return _subclass("Model", "__model__", body, before)


def trainer(body: str, before: str = "") -> Change:
    """Methods and attributes of the trainer's class."""
    return _subclass("Trainer", "__trainer__", body, before)


def _subclass(part: str, exposed: str, body: str, before: str) -> Change:
    def apply(toy: Toy) -> None:
        name = f"broken_{part.lower()}"
        text = _SUBCLASS.format(
            module=toy.module,
            part=part,
            before=textwrap.dedent(before),
            body=textwrap.indent(textwrap.dedent(body).strip("\n"), "    "),
        )
        (toy.package / f"{name}.py").write_text(text, encoding="utf-8")
        appended("__init__.py", f"from {toy.module}.{name} import Broken{part} as {exposed}")(toy)

    return apply


def adds(term: str, reads_positions: bool = False) -> str:
    """The method of a model that adds a term (A, 1) to all its targets.

    :param term: of ``vectors`` (E, 3), ``graph`` and ``x`` (A, 1), zeros to begin with
    :param reads_positions: whether the term is one of positions or cells
    """
    return f"""
reads_positions = {reads_positions}

def predict(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, torch.Tensor]:
    results = self.read_out(self.features(graph), graph.species, targets)
    vectors = graph.vectors
    x = vectors.new_zeros((len(graph.species), 1))
    x = {term}
    for name in self.per_atom:
        if name in results:
            results[name] = results[name] + x
    return results
"""


def copied(name: str, *replacements: tuple[str, str]) -> str:
    """The source of a function of ours with some of its text replaced, which must be there.

    :param name: such as ``mt_shared.model.base.BaseModel.forward``
    """
    source = _source(name)
    for old, new in replacements:
        source = _replace(source, old, new)
    return source


def command(file: str, old: str, new: str) -> Change:
    """Text replaced in the command ``mt`` (or what it uses) as this toy's tests run it.

    For what no architecture can break, since the command does it for all of them.

    :param file: such as ``mt_core/training/run.py``
    """

    def apply(toy: Toy) -> None:
        package = file.split("/")[0]
        if not (toy.changed_command / package).exists():
            _copy_package(package, toy.changed_command / package)
        path = toy.changed_command / file
        path.write_text(_replace(path.read_text(encoding="utf-8"), old, new), encoding="utf-8")

    return apply


def beside_the_command(file: str, text: str) -> Change:
    """A file in the path of the commands that this toy's tests run, and of no others."""

    def apply(toy: Toy) -> None:
        path = toy.changed_command / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return apply


# ---- tools


def _replace(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"the text to be replaced is not there: {old!r}, in\n{text}")
    return text.replace(old, new)


def _source(name: str) -> str:
    """The source of a function, found without importing its module."""
    module, *path = _module_and_path(name)
    text = module.read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in path:
        children = ast.iter_child_nodes(node)
        node = next(each for each in children if getattr(each, "name", None) == part)
    lines = text.splitlines(keepends=True)
    assert isinstance(node, ast.FunctionDef)
    return textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno]))


def _module_and_path(name: str) -> tuple[Any, ...]:
    parts = name.split(".")
    root = package_folder(parts[0])
    for end in range(len(parts) - 1, 0, -1):
        file = root.joinpath(*parts[1:end]).with_suffix(".py")
        if file.is_file():
            return file, *parts[end:]
    raise ValueError(f"there is no module for {name}")


def _assignment(source: str, name: str) -> str:
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if any(getattr(target, "id", None) == name for target in targets):
            return "".join(lines[node.lineno - 1 : node.end_lineno])
    raise ValueError(f"nothing is assigned to {name}")


def package_folder(package: str) -> Path:
    """Where a package lies, found without importing it."""
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is not installed"
    return Path(next(iter(spec.submodule_search_locations)))


def _copy_package(package: str, copy: Path) -> None:
    for file in package_folder(package).rglob("*"):
        if file.is_file() and not re.search("__pycache__|/examples/", file.as_posix()):
            target = copy / file.relative_to(package_folder(package))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())

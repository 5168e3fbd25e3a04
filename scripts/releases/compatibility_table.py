"""The table of compatibility: with what each architecture has passed the suite, and when.

    hatch run arch.painn:conformance --junitxml=painn.xml
    hatch run arch.painn:record painn.xml painn.json     # the run, and the versions it ran with
    python scripts/releases/compatibility_table.py write painn.json
    python scripts/releases/compatibility_table.py write --check

``docs/compatibility.json`` keeps the newest result of each combination; ``docs/compatibility.md``
is made from it.
"""

from __future__ import annotations

import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from distributions import command_line

DOCS = Path(__file__).parents[2] / "docs"
DATA = DOCS / "compatibility.json"
PAGE = DOCS / "compatibility.md"
# of two results with the same of these, the later one counts
KEY = ("architecture", "version", "mt-shared", "torch", "metatomic", "python")
HEAD = """\
<!-- made by scripts/releases/compatibility_table.py from docs/compatibility.json: do not edit -->

# Compatibility

What the conformance suite has said of each architecture, with which versions, and when. Other
versions may work as well: each `pyproject.toml` says what a package admits.

| architecture | version | mt-shared | torch | metatomic | Python | suite | when |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    parser = command_line(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="in the environment of a run: what it said")
    record.add_argument("architecture", help="its name in options files, as soap_bpnn")
    record.add_argument("junit", type=Path, help="what pytest --junitxml wrote")
    record.add_argument("out", type=Path, help="a new file of JSON")
    write = commands.add_parser("write", help="the table, with these results added")
    write.add_argument("results", nargs="*", type=Path, help="what record wrote")
    write.add_argument("--check", action="store_true", help="change nothing, say what is old")
    arguments = parser.parse_args()
    if arguments.command == "record":
        result = read_result(arguments.architecture, arguments.junit)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    else:
        write_table(arguments.results, check=arguments.check)


def write_table(files: list[Path], *, check: bool) -> None:
    """Add results; to check is to write nothing, and to fail where something would change."""
    results = merge([each for file in [DATA, *files] for each in read(file)])
    texts = {DATA: json.dumps(results, indent=2) + "\n", PAGE: page(results)}
    old = [
        file
        for file, text in texts.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    if check and old:
        raise SystemExit(
            f"docs: {', '.join(file.name for file in old)} not up to date; "
            "run python scripts/releases/compatibility_table.py write"
        )
    for file in old:
        file.write_text(texts[file], encoding="utf-8")


def read_result(architecture: str, junit: Path) -> dict[str, Any]:
    """Numbers of tests, and the versions of this environment."""
    try:
        suites = list(ElementTree.parse(junit).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError) as error:
        raise SystemExit(f"{junit}: {error}; expected what pytest --junitxml writes") from None
    counts = {
        name: sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
    failed = counts["failures"] + counts["errors"]
    if not suites or not counts["tests"]:
        raise SystemExit(f"{junit}: no test was run, so nothing is known")
    return {
        "architecture": architecture,
        "version": version("mt-" + architecture.replace("_", "-")),
        "mt-shared": version("mt-shared"),
        # without the word for the kind of device that it was built for, as in 2.9.0+cpu
        "torch": version("torch").split("+")[0],
        "metatomic": version("metatomic-torch"),
        "python": platform.python_version(),
        "passed": counts["tests"] - failed - counts["skipped"],
        "failed": failed,
        "skipped": counts["skipped"],
        "date": suites[0].get("timestamp", "")[:10],
    }


def read(file: Path) -> list[dict[str, Any]]:
    """One result or a list of them."""
    if not file.exists():
        if file == DATA:
            return []
        raise SystemExit(f"{file}: there is no such file; expected what record wrote")
    content = json.loads(file.read_text(encoding="utf-8"))
    return content if isinstance(content, list) else [content]


def merge(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last of each combination, in order."""
    # later ones replace earlier ones of the same key
    newest = {tuple(each[key] for key in KEY): each for each in results}
    return sorted(newest.values(), key=lambda each: [in_order(each[key]) for key in KEY])


def in_order(text: str) -> list[str | int]:
    """What sorts 2.6 before 2.13."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def page(results: list[dict[str, Any]]) -> str:
    rows = []
    for each in results:
        failed = f"{each['failed']} failed, " if each["failed"] else ""
        verdict = f"{failed}{each['passed']} passed"
        rows.append(
            [f"`{each['architecture']}`", *(each[key] for key in KEY[1:]), verdict, each["date"]]
        )
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()

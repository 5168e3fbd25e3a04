"""Every command, options file and program that the documentation shows is run.

Each page gets an empty folder, in which its blocks are run from the first to the last; what cannot
be run says why, in a comment that no reader of the page sees (see ``pages.py``).
"""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distributions import ROOT
from mt_core import train
from mt_core.cli import main
from mt_core.options import parse_eval
from mt_shared.errors import UserError
from mt_shared.options import check, deep_merge, load_yaml, read_yaml
from pages import Block, blocks_of, read_blocks

PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("packages/*/README.md")),
    *sorted(ROOT.glob("docs/examples/*/README.md")),
    ROOT / "shared" / "README.md",
    ROOT / "tests" / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "ARCHITECTURE.md",
]
# shown as it is printed or written, and not to be run
TEXT = ("text", "bibtex")
COMMANDS = ("mt ", "hatch ", "pip ", "pytest ", "python ", "$ ")
TIMEOUT = 1800  # of what hangs: on a busy machine all takes many times as long


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_is_true(page, tmp_path, monkeypatch):
    """IF IT FAILS: the block named does not work as it stands. Mend the page, or the code."""
    monkeypatch.chdir(tmp_path)
    # for the comments, which may copy files of the repository
    monkeypatch.setenv("REPOSITORY", str(ROOT))
    # the commands of this environment
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    run_all(read_blocks(page, ROOT))


LIFE_CYCLE = "packages/mt-core/src/mt_core/architectures/schema-lifecycle.json"
# a page, and what is said of it
WRONG = [
    ("```bash\nmt trian options.yaml\n```", "there is no command 'trian'"),
    ("```bash\nmt train options.yaml\n```", "page.md:1: mt train options.yaml"),
    ("```bash\nls | false\n```", "page.md:1: ls | false"),
    ("<!-- before: mt example ethanol . -->\n```yaml\nsede: 0\n```", "sede"),
    (f"<!-- schema: {LIFE_CYCLE} -->\n```yaml\nold: {{stage: retired}}\n```", "retired"),
    ("```python\nfrom mt_core import trian\n```", "trian"),
    ("```yaml\nsystems: {read: a.xyz}\n```", "read"),
    ("```console\n$ mt list\n```", "a test cannot run a block of the language 'console'"),
    ("```text\nmt list\n```", "a command is no text"),
    ("Do\n\n    mt list", "a test cannot run a block of the language ''"),
    ("<!-- not run: why -->\nText.", "no block of code follows"),
    ("<!-- not run: why -->\n\nText.", "no block of code follows"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_wrong_in_a_page_is_found(text, said, tmp_path, monkeypatch):
    """IF IT FAILS: the test of the pages is blind to a fault."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises((UserError, AssertionError, ImportError), match=re.escape(said)):
        run_all(blocks_of(text, "page.md"))


def run_all(blocks: list[Block]) -> None:
    """Run the blocks of one page in the working folder, in order."""
    runner = Runner()
    for block in blocks:
        runner.run(block)


class Runner:
    """Runs the blocks of a page in the working folder, one after the other."""

    def __init__(self) -> None:
        self._names: dict[str, object] = {"__name__": "page"}

    def run(self, block: Block) -> None:
        # Sphinx itself reads those in braces
        if block.not_run or block.language.startswith("{"):
            return
        if block.language in TEXT:
            assert not block.text.startswith(COMMANDS), f"{block.where}: a command is no text"
            return
        for command in block.before:
            self._shell(command, block)
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
        kinds = {"bash": self._commands, "python": self._python, "yaml": self._yaml}
        if block.language in kinds:
            kinds[block.language](block)
        assert block.language in kinds or block.file, (
            f"{block.where}: a test cannot run a block of the language '{block.language}'; give it "
            f"one of {', '.join(kinds)}, or text for what is not to be run, or say before it "
            "<!-- not run: REASON -->"
        )

    def _commands(self, block: Block) -> None:
        lines = block.text.splitlines()
        if not all(shlex.split(line, comments=True)[:1] in (["mt"], []) for line in lines):
            assert not block.options, f"{block.where}: 'with' is for blocks of mt alone"
            self._shell(block.text, block)
            return
        for line in lines:
            if words := shlex.split(line, comments=True)[1:]:
                more = shlex.split(block.options) if words[0] == "train" else []
                run_mt([*words, *more], f"{block.where}: {line}")

    def _shell(self, script: str, block: Block) -> None:
        status, said = run_shell(script)
        assert status == 0, f"{block.where}: {script}\n{said}"

    def _python(self, block: Block) -> None:
        # blocks of a page are one program
        exec(compile(block.text, block.where, "exec"), self._names)

    def _yaml(self, block: Block) -> None:
        """Options are checked as ``mt`` checks them, parts of some with the rest of the page's."""
        content = load_yaml(block.text, block.where)
        if block.schema:
            schema = json.loads((ROOT / block.schema).read_text(encoding="utf-8"))
            check(content, schema, block.where)
        elif "systems" in content:
            parse_eval(content, block.where)
        else:
            whole = content if "training_set" in content else deep_merge(_options(), content)
            with quiet():
                train(whole, dry_run=True)


def _options() -> dict[str, Any]:
    """What the page has shown as its options file."""
    return read_yaml(Path("options.yaml"))


def run_shell(script: str) -> tuple[int | None, str]:
    """Exit status (None: it took too long) and output; nothing that it has started stays behind."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    # a group of its own, so that it can be ended as a whole
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True}
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            said, _ = process.communicate(timeout=TIMEOUT)
            return process.returncode, said
        except subprocess.TimeoutExpired:
            return None, f"not done after {TIMEOUT} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run_mt(words: list[str], where: str) -> None:
    """A command line of ``mt``, in this process: what is imported is imported once."""
    with quiet() as said:
        try:
            status = main(words)
        except SystemExit as left:
            status = left.code
    assert not status, f"{where}\n{said.getvalue()}"


@contextlib.contextmanager
def quiet():
    """Keeps what is printed, for the message of a failure."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said

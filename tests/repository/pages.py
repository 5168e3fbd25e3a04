"""The blocks of code in Markdown pages, and what their pages say about running them.

Comments of HTML on the lines before a block, which no reader of the page sees, tell how it is run:

=============================  ====================================================================
``<!-- not run: REASON -->``   the block is not run
``<!-- file: NAME -->``        the block is the content of that file in the page's folder
``<!-- schema: PATH -->``      the block is YAML that this JSON schema of the repository admits
``<!-- before: COMMAND -->``   shell command before the block; may be given several times
``<!-- with: OPTIONS -->``     further options of each ``mt train`` in the block, for a short run
=============================  ====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

DIRECTIVE = re.compile(r"<!--\s*(not run|file|schema|before|with):\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, its language (empty: none) and its comments."""

    where: str
    language: str
    text: str
    not_run: str = ""
    file: str = ""
    schema: str = ""
    options: str = ""
    before: list[str] = field(default_factory=list)


def read_blocks(path: Path, root: Path) -> list[Block]:
    """Every block of a page, those without a fence too."""
    return blocks_of(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())


def blocks_of(text: str, page: str) -> list[Block]:
    """Every block of a text in Markdown, in order."""
    return list(_blocks(MarkdownIt().parse(text), page))


def _blocks(tokens: list[Token], page: str) -> Iterator[Block]:
    comments: list[tuple[str, str]] = []
    for token in tokens:
        if token.type in ("fence", "code_block"):
            line = (token.map or [0])[0] + 1
            yield _block(f"{page}:{line}", token, comments)
            comments = []
        elif token.type == "html_block":
            comments += DIRECTIVE.findall(token.content)
        else:
            _refuse_lost(comments, page)
    _refuse_lost(comments, page)


def _refuse_lost(comments: list[tuple[str, str]], page: str) -> None:
    """A comment on something else than a block would have no effect."""
    assert not comments, f"{page}: no block of code follows {comments}"


def _block(where: str, token: Token, comments: list[tuple[str, str]]) -> Block:
    said = dict(comments)
    return Block(
        where=where,
        language=token.info.strip(),
        text=token.content,
        not_run=said.get("not run", ""),
        file=said.get("file", ""),
        schema=said.get("schema", ""),
        options=said.get("with", ""),
        before=[command for name, command in comments if name == "before"],
    )

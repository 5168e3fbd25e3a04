"""What a package may leave out: the tests of it are skipped, and the summary lists it."""

from collections.abc import Iterable
from typing import NoReturn

import pytest

PREFIX = "not provided: "
# what a package may leave out while it is not stable, and what that means
OPTIONAL = {
    "capabilities.yaml": "nothing is refused beforehand, and the suite assumes a potential",
    "schema-hypers.json": "values of hypers pass unchecked",
    "conformance.py": "the suite trains with the default hypers, which may be slow",
    "checkpoints": "old checkpoints are not tried",
}


def not_provided(what: str, name: str) -> NoReturn:
    """Skip a test of something that the architecture of that name leaves out.

    :param what: one of ``OPTIONAL``, or a few words
    """
    consequence = f"; {OPTIONAL[what]}" if what in OPTIONAL else ""
    pytest.skip(f"{PREFIX}{what}{consequence} ({name})")


def left_out(reports: Iterable[pytest.TestReport]) -> list[str]:
    """What the skipped tests among these reports say to be not provided, each once."""
    reasons = [report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple)]
    return sorted({reason.partition(PREFIX)[2] for reason in reasons if PREFIX in reason})

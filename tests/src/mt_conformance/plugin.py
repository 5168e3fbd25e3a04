"""The pytest plugin: its option says which of the installed architectures are tested.

Every pytest beside it loads it: it imports next to nothing, the fixtures are in ``conftest.py``.
"""

import signal

import pytest

from mt_conformance.providing import left_out


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mt-conformance")
    group.addoption(
        "--architecture",
        action="append",
        default=None,
        metavar="NAME",
        help="test this architecture (may be given several times; default: every installed one)",
    )
    group.addoption(
        "--conformance-quick",
        action="store_true",
        help="of the conformance suite, only the tests that find most faults soonest",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "needs(*abilities): run for the architectures whose capabilities have all of these",
    )
    config.addinivalue_line(
        "markers", "needs_option(name): run for the architectures whose models have this option"
    )
    config.addinivalue_line(
        "markers", "needs_shared_trainer: run for the architectures that the shared engine trains"
    )
    config.addinivalue_line("markers", "slow: takes more than ten seconds")
    names = config.getoption("--architecture") or []
    _check_names(names)
    if names and not hasattr(config, "workerinput"):
        # as Ctrl-C does: it ends the workers too; SIGINT itself is ignored in the background
        signal.signal(signal.SIGTERM, signal.default_int_handler)


# quoted: the lowest pytest has no public name for it
def pytest_terminal_summary(
    terminalreporter: "pytest.TerminalReporter", config: pytest.Config
) -> None:
    """Say at the end what was not tested: beyond the quick tier, and what packages leave out."""
    if config.getoption("--conformance-quick"):
        terminalreporter.section("quick tier")
        names = config.getoption("--architecture") or []
        name = names[0] if len(names) == 1 else "NAME"
        terminalreporter.line(
            "These were the tests that find most faults soonest. The whole suite trains, restarts, "
            f"fine-tunes and simulates as well: mt conformance {name}"
        )
    missing = left_out(terminalreporter.getreports("skipped"))
    if missing:
        terminalreporter.section("not provided")
        for what in missing:
            terminalreporter.line(what)


def _check_names(names: list[str]) -> None:
    if not names:
        return
    from mt_shared.errors import did_you_mean
    from mt_shared.registry import installed

    known = installed()
    for name in names:
        if name not in known:
            raise pytest.UsageError(
                f"--architecture {name}: it is not installed{did_you_mean(name, known)}; "
                f"installed are {', '.join(sorted(known)) or 'none'}"
            )
    if len(set(names)) == 1 and known[names[0]].error is None:
        _check_import(names[0])


def _check_import(name: str) -> None:
    """Say once what a hundred tests would say; of several architectures the tests say of which."""
    import warnings

    from mt_shared.errors import UserError
    from mt_shared.registry import load

    try:
        # the settings for warnings hold for tests, which come later
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load(name)
    except UserError as error:
        raise pytest.UsageError(str(error)) from error

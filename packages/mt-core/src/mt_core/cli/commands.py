"""What each command of ``mt`` calls, and how it leaves."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from mt_core.cli.parser import Parser, make_parser

# what shells report of a program that ended by SIGINT or by SIGPIPE: 128 + the signal
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the status to exit with; a user's mistake shows no traceback."""
    parser = make_parser()
    own, for_pytest = _split(sys.argv[1:] if argv is None else argv)
    _refuse_unknown_command(parser, own)
    known, others = parser.parse_known_args(own)
    arguments = vars(known)
    if for_pytest:
        arguments["pytest_options"] += for_pytest
    command = arguments.pop("command")
    if others:
        _refuse_argument(parser.commands.get(command, parser), others[0])
    if command is None:
        parser.print_help()
        return 0
    try:
        status = _COMMANDS[command](**arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left. Python flushes standard output once more when it ends,
        # and would complain; now what is unwritten goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as failure:
        from mt_core.console import exit_status, explain, on_a_screen

        message = explain(failure)
        if message is None:
            raise
        print(on_a_screen(message), file=sys.stderr)
        return exit_status(failure)
    return status or 0


def _refuse_unknown_command(parser: Parser, argv: list[str]) -> None:
    word = argv[0] if argv else "-"
    if word.startswith("-") or word in _COMMANDS:
        return
    from mt_shared.errors import did_you_mean, shortened

    if Path(word).is_file():
        parser.error(f"'{word}' is a file, and a command comes first, such as mt train {word}")
    hint = did_you_mean(word, _COMMANDS)
    parser.error(f"there is no command '{shortened(word)}'{hint}; there are {', '.join(_COMMANDS)}")


def _refuse_argument(parser: Parser, word: str) -> NoReturn:
    from mt_shared.errors import did_you_mean, shortened

    shown = shortened(word)
    if word in parser.options:
        parser.error(f"{word} stands after --, which ends the options")
    if word.startswith("-"):
        parser.error(f"there is no option {shown}{did_you_mean(word, parser.options)}")
    if "=" in word and "-r" in parser.options:
        parser.error(f"'{shown}' is not expected; to set an option write -r {shown}")
    parser.error(f"'{shown}' is one argument too many")


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and of ``mt conformance`` what follows ``--``, which is pytest's."""
    # argparse takes the positional arguments before an option for all there are
    if argv[:1] == ["conformance"] and "--" in argv:
        place = argv.index("--")
        return argv[:place], argv[place + 1 :]
    return argv, []


# Each command imports what it needs when it runs, so that help and lists answer at once.


def _computing(name: str, **given: Any) -> None:
    """One of the functions of mt_core itself, which take what the command line takes."""
    # torch's C++ half writes warnings past those of Python; what matters of them we say ourselves.
    # It reads the variable when it is imported.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import mt_core

    getattr(mt_core, name)(**given)


def _list(json: bool) -> None:
    from mt_core.architectures.listing import as_json, as_table, rows

    print(as_json(rows()) if json else as_table(rows()))


def _describe(name: str, **given: Any) -> None:
    from mt_core.architectures.describing import describe

    print(describe(name, **given))


def _new(name: str, **given: Any) -> None:
    from mt_core.architectures.new_package import create, next_steps

    paths = create(name, **given)
    for path in paths:
        print(path)
    print(next_steps(name, paths))


def _conformance(name: str, pytest_options: list[str], **given: Any) -> int:
    from mt_core.architectures.conformance import run_suite

    return run_suite(name, pytest_options, **given)


def _doctor() -> int:
    from mt_core.doctor import report

    text, num_faults = report()
    print(text)
    return 1 if num_faults else 0


def _example(name: str | None, folder: str) -> None:
    from mt_core import examples

    if name is None:
        print("\n".join(examples.names()))
        return
    for path in examples.copy(name, Path(folder)):
        print(path)


def _completion(shell: str) -> None:
    import shtab

    # the script is eval'ed, and a bare zsh has not loaded what it calls
    load = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }"
    print(shtab.complete(make_parser(), shell, preamble=load if shell == "zsh" else ""))


_COMMANDS: dict[str, Callable[..., int | None]] = {
    "train": partial(_computing, "train"),
    "eval": partial(_computing, "evaluate"),
    "export": partial(_computing, "export"),
    "list": _list,
    "describe": _describe,
    "new": _new,
    "conformance": _conformance,
    "example": _example,
    "doctor": _doctor,
    "completion": _completion,
}

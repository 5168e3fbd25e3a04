"""The command ``mt``. Each command imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from mt_core.__about__ import __version__

# an option that is not given is left out, and the function's own default holds
_OMIT = argparse.SUPPRESS
_INTERRUPTED = 130
_BROKEN_PIPE = 141
SHELLS = ("bash", "zsh", "fish")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the status to exit with; a user's mistake shows no traceback."""
    parser = make_parser()
    arguments = vars(parser.parse_args(argv))
    run = arguments.pop("run", None)
    if run is None:
        parser.print_help()
        return 0
    try:
        run(**arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        return _leave_broken_pipe()
    except Exception as failure:
        from mt_core.console import exit_status, explain

        message = explain(failure)
        if message is None:
            raise
        print(message, file=sys.stderr)
        return exit_status(failure)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Every command and option, with its help."""
    parser = argparse.ArgumentParser(
        prog="mt",
        description="Train, evaluate and export machine-learning models of atoms.",
        epilog="A first run: mt example ethanol . && mt train options.yaml",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mt-core {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_train(commands)
    _add_eval(commands)
    _add_export(commands)
    _add_list(commands)
    _add_describe(commands)
    _add_new(commands)
    _add_conformance(commands)
    _add_example(commands)
    _add_doctor(commands)
    _add_completion(commands)
    return parser


def _command(commands: Any, name: str, run: Any, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        argument_default=_OMIT,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def _add_train(commands: Any) -> None:
    parser = _command(commands, "train", _train, "train a model as an options file says")
    parser.add_argument("options", metavar="OPTIONS", help="the options file, YAML")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the exported model (default: model.pt)"
    )
    _add_extensions(parser)
    parser.add_argument(
        "--restart",
        metavar="FILE|auto",
        help="go on from this checkpoint, or with 'auto' from the newest one of the last run",
    )
    parser.add_argument(
        "--allow-changes",
        action="store_true",
        help="restart although options or data have changed since the checkpoint",
    )
    parser.add_argument(
        "--allow-deprecated",
        action="store_true",
        help="train a deprecated architecture although its date of removal has passed",
    )
    parser.add_argument(
        "-r",
        "--override",
        dest="overrides",
        action="append",
        metavar="KEY=VALUE",
        help="set one option, such as architecture.training.num_epochs=10; may be repeated",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check options, files and labels, run one step, show the cost, and leave no files",
    )


def _add_eval(commands: Any) -> None:
    parser = _command(commands, "eval", _evaluate, "predict with a model, and compare with labels")
    parser.add_argument("model", metavar="MODEL", help="an exported model (.pt) or a .ckpt")
    parser.add_argument("options", metavar="OPTIONS", help="the structures and targets, YAML")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the predictions, as extended xyz, or as metatensor (.mts)",
    )
    parser.add_argument(
        "-b", "--batch-size", type=int, metavar="N", help="how many structures at a time"
    )
    _add_extensions(parser, "the folder of the extensions that the model needs")


def _add_export(commands: Any) -> None:
    parser = _command(commands, "export", _export, "turn a checkpoint into a model for engines")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the .ckpt of a training")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the exported model (default: CHECKPOINT's name, .pt)",
    )
    _add_extensions(parser)
    parser.add_argument(
        "-m", "--metadata", metavar="FILE", help="name, authors and references, YAML"
    )


def _add_list(commands: Any) -> None:
    parser = _command(commands, "list", _list, "list the architectures, installed or to be had")
    parser.add_argument("--json", action="store_true", default=False, help="for programs")


def _add_describe(commands: Any) -> None:
    parser = _command(commands, "describe", _describe, "show what an architecture is and can do")
    parser.add_argument("name", metavar="NAME", help="an installed architecture; see mt list")
    parser.add_argument(
        "--defaults",
        action="store_true",
        help="print a complete commented options section to start from",
    )


def _add_new(commands: Any) -> None:
    parser = _command(commands, "new", _new, "write the package of a new architecture")
    parser.add_argument("name", metavar="NAME", help="of the architecture, such as my_network")
    parser.add_argument(
        "--folder", metavar="DIR", help="where to write it (default: mt-NAME in this folder)"
    )
    parser.add_argument(
        "--mlip",
        action="store_true",
        help="a model of energies and forces, as short as it can be",
    )


def _add_conformance(commands: Any) -> None:
    parser = _command(
        commands, "conformance", _conformance, "prove that an architecture keeps the contract"
    )
    parser.epilog = "Options of pytest follow after --: mt conformance NAME -- -n 2 -k outputs"
    parser.add_argument("name", metavar="NAME", help="an installed architecture; see mt list")
    parser.add_argument(
        "pytest_options", metavar="OPTION", nargs="*", default=[], help="for pytest, after --"
    )


def _add_doctor(commands: Any) -> None:
    _command(commands, "doctor", _doctor, "look for faults in this installation, for a report")


def _add_example(commands: Any) -> None:
    parser = _command(commands, "example", _example, "copy an example, or list the examples")
    parser.add_argument("name", metavar="NAME", nargs="?", default=None)
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=".")


def _add_completion(commands: Any) -> None:
    parser = _command(commands, "completion", _completion, "print the completion of a shell")
    parser.epilog = 'In bash, for example: eval "$(mt completion bash)"'
    parser.add_argument("shell", choices=SHELLS)


def _add_extensions(
    parser: argparse.ArgumentParser,
    about: str = "where compiled extensions are put, if the model needs any",
) -> None:
    parser.add_argument("-e", "--extensions", metavar="DIR", help=about)


def _quiet_torch() -> None:
    """Keep what torch's C++ half writes past Python's warnings to itself; we say it ourselves."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _train(options: str, **given: Any) -> None:
    _quiet_torch()
    from mt_core.training import train

    train(options, **given)


def _evaluate(model: str, options: str, **given: Any) -> None:
    _quiet_torch()
    from mt_core.evaluation import evaluate

    evaluate(model, options, **given)


def _export(checkpoint: str, **given: Any) -> None:
    _quiet_torch()
    from mt_core.evaluation import export

    export(checkpoint, **given)


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


def _conformance(name: str, pytest_options: list[str]) -> None:
    from mt_core.architectures.conformance import prove

    prove(name, pytest_options)


def _doctor() -> None:
    from mt_core.doctor import report

    print(report())


def _example(name: str | None, folder: str) -> None:
    from pathlib import Path

    from mt_core import examples

    if name is None:
        print("\n".join(examples.names()))
        return
    for path in examples.copy(name, Path(folder)):
        print(path)


def _completion(shell: str) -> None:
    from mt_core.cli.completion import script

    print(script(shell, make_parser()), end="")


def _leave_broken_pipe() -> int:
    """Whoever read our output has left; what is unwritten goes nowhere, without a complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _BROKEN_PIPE

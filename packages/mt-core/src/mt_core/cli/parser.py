"""Every command and option of ``mt``, with its help. Nothing is imported for it but argparse."""

import argparse
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from mt_core.__about__ import __version__

# those that shtab knew at the lowest version that we admit; before it, options with a value failed
SHELLS = ("bash", "zsh", "tcsh", "fish")


class Parser(argparse.ArgumentParser):
    """A parser whose errors say what is expected, in place of every option that there is.

    :param commands: the parsers of the commands, by name; empty in such a one
    """

    commands: Mapping[str, "Parser"] = MappingProxyType({})

    @property
    def options(self) -> list[str]:
        """Every option, in each of its spellings."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        # COMMAND is a positional argument too, and has no help of its own
        arguments = [each for each in self._get_positional_actions() if each.help]
        takes = [f"  {each.metavar}: {each.help}\n" for each in arguments]
        self.exit(2, f"error: {self.prog}: {message}\n{''.join(takes)}more: {self.prog} --help\n")


def make_parser() -> Parser:
    """The parser; its result names the ``command`` beside the arguments of that command."""
    parser = Parser(
        prog="mt",
        description="Train, evaluate and export machine-learning models of atoms.",
        epilog="A first run: mt example ethanol . && mt train options.yaml",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mt-core {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _add_train(commands)
    _add_eval(commands)
    _add_export(commands)
    _add_architectures(commands)
    _add_others(commands)
    parser.commands = commands.choices
    return parser


def _command(commands: Any, name: str, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        # an option that is not given is left out, and the default of the function holds: it is
        # written once, and what the command line does is what Python does
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    return parser


def _add_path(
    parser: argparse.ArgumentParser,
    names: str,
    metavar: str,
    about: str | None = None,
    kind: str = "file",
    **more: Any,
) -> None:
    """An argument that shells complete with the names of files, or of folders (``directory``)."""
    action = parser.add_argument(*names.split(), metavar=metavar, help=about, **more)
    # shtab looks for this attribute; as a word it costs no import of shtab
    action.complete = kind  # type: ignore[attr-defined]


def _add_flag(parser: argparse.ArgumentParser, name: str, about: str, **more: Any) -> None:
    parser.add_argument(name, action="store_true", help=about, **more)


_EXTENSIONS = "for compiled extensions, if the model needs any (default: extensions, beside it)"


def _add_train(commands: Any) -> None:
    parser = _command(commands, "train", "train a model as an options file says")
    _add_path(
        parser, "options", "OPTIONS", "the options file, YAML; 'mt example ethanol .' writes one"
    )
    _add_path(parser, "-o --output", "FILE", "the exported model (default: model.pt)")
    _add_path(parser, "-e --extensions", "DIR", _EXTENSIONS, kind="directory")
    newest = "go on from this checkpoint, or with 'auto' from the newest one of the last run"
    _add_path(parser, "--restart", "FILE|auto", newest)
    changes = "restart although options or data have changed since the checkpoint"
    _add_flag(parser, "--allow-changes", changes)
    deprecated = "train a deprecated architecture although its date of removal has passed"
    _add_flag(parser, "--allow-deprecated", deprecated)
    parser.add_argument(
        "-r",
        "--override",
        dest="overrides",
        action="append",
        metavar="KEY=VALUE",
        help="set one option, such as architecture.training.num_epochs=10; may be repeated",
    )
    dry_run = "check options, files and labels, run one step, show the cost, and leave no files"
    _add_flag(parser, "--dry-run", dry_run)


def _add_eval(commands: Any) -> None:
    parser = _command(commands, "eval", "predict with a model, and compare with labels")
    _add_path(parser, "model", "MODEL", "an exported model (.pt) or a .ckpt")
    _add_path(parser, "options", "OPTIONS", "structures and targets, YAML; or a file of structures")
    predictions = "the predictions, as extended xyz, or as metatensor (.mts)"
    _add_path(parser, "-o --output", "FILE", predictions)
    size = "how many structures at a time; by default as many as a batch of the training held"
    parser.add_argument("-b", "--batch-size", type=int, metavar="N", help=size)
    extensions = "of extensions, if the model needs any (default: extensions, beside it)"
    _add_path(parser, "-e --extensions", "DIR", extensions, kind="directory")


def _add_export(commands: Any) -> None:
    parser = _command(commands, "export", "turn a checkpoint into a model for engines")
    _add_path(parser, "checkpoint", "CHECKPOINT", "the .ckpt of a training")
    exported = "the exported model (default: CHECKPOINT's name, .pt)"
    _add_path(parser, "-o --output", "FILE", exported)
    _add_path(parser, "-e --extensions", "DIR", _EXTENSIONS, kind="directory")
    _add_path(parser, "-m --metadata", "FILE", "name, authors and references, YAML")


def _add_architectures(commands: Any) -> None:
    parser = _command(commands, "list", "list the architectures, installed or to be had")
    _add_flag(parser, "--json", "for programs", default=False)

    parser = _command(commands, "describe", "show what an architecture is and can do")
    parser.add_argument("name", metavar="NAME", help="an installed architecture; see mt list")
    defaults = "print a complete commented options section to start from"
    _add_flag(parser, "--defaults", defaults)

    parser = _command(commands, "new", "write the package of a new architecture")
    parser.add_argument("name", metavar="NAME", help="of the architecture, such as my_network")
    folder = "where to write it (default: mt-NAME in this folder)"
    _add_path(parser, "--folder", "DIR", folder, kind="directory")
    _add_flag(parser, "--mlip", "a model of energies and forces, as short as it can be")

    parser = _command(commands, "conformance", "prove that an architecture keeps the contract")
    parser.epilog = "Options of pytest follow after --: mt conformance NAME -- -n 2 -k outputs"
    parser.add_argument("name", metavar="NAME", help="an installed architecture; see mt list")
    _add_flag(parser, "--quick", "only the tests that find most faults soonest: half a minute")
    parser.add_argument(
        "pytest_options", metavar="OPTION", nargs="*", default=[], help="for pytest, after --"
    )


def _add_others(commands: Any) -> None:
    parser = _command(commands, "example", "copy an example, or list the examples")
    parser.add_argument("name", metavar="NAME", nargs="?", default=None)
    _add_path(parser, "folder", "FOLDER", kind="directory", nargs="?", default=".")

    _command(commands, "doctor", "look for faults in this installation, for a report")

    parser = _command(commands, "completion", "print the completion of a shell")
    parser.epilog = 'In bash, for example: eval "$(mt completion bash)"'
    parser.add_argument("shell", choices=SHELLS)

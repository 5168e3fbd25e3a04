"""``mt completion``: scripts for shells, made from the parser, so that they never lag behind."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

_BASH = """\
_mt() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" words="{commands}"
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    [ "$COMP_CWORD" -eq 1 ] && words="{commands}"
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ "$COMP_CWORD" -gt 1 ] && COMPREPLY+=($(compgen -f -- "$word"))
}}
complete -o filenames -F _mt mt
"""
_ZSH = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n"


@dataclass(frozen=True)
class _Command:
    name: str
    about: str
    options: tuple[tuple[str, str], ...]
    choices: tuple[str, ...]


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The completion script of ``bash``, ``zsh`` or ``fish`` for the commands of a parser."""
    commands = _commands(parser)
    if shell == "fish":
        return _fish(commands)
    bash = _bash(commands, _option_names(parser))
    return _ZSH + bash if shell == "zsh" else bash


def _bash(commands: list[_Command], own: tuple[str, ...]) -> str:
    cases = "\n".join(f'        {each.name}) words="{_words(each)}" ;;' for each in commands)
    names = " ".join([*(each.name for each in commands), *own])
    return _BASH.format(commands=names, cases=cases)


def _fish(commands: list[_Command]) -> str:
    lines = []
    for each in commands:
        about = each.about.replace("'", "\\'")
        lines.append(f"complete -c mt -n __fish_use_subcommand -f -a {each.name} -d '{about}'")
        inside = f"complete -c mt -n '__fish_seen_subcommand_from {each.name}'"
        for flag, help_text in each.options:
            kind = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
            lines.append(f"{inside} {kind} -d '" + help_text.replace("'", "\\'") + "'")
        if each.choices:
            lines.append(f"{inside} -f -a '{' '.join(each.choices)}'")
    return "\n".join(lines) + "\n"


def _words(command: _Command) -> str:
    return " ".join([*(flag for flag, _ in command.options), *command.choices])


def _commands(parser: argparse.ArgumentParser) -> list[_Command]:
    # argparse has no public way to ask for them
    subparsers = next(
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    about = {action.dest: action.help or "" for action in subparsers._choices_actions}
    return [_command(name, about[name], each) for name, each in subparsers.choices.items()]


def _command(name: str, about: str, parser: argparse.ArgumentParser) -> _Command:
    options = tuple(
        (flag, action.help or "") for action in parser._actions for flag in action.option_strings
    )
    positional = [action for action in parser._actions if not action.option_strings]
    choices = tuple(str(choice) for action in positional for choice in action.choices or ())
    return _Command(name, about, options, choices)


def _option_names(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    return tuple(flag for action in parser._actions for flag in action.option_strings)

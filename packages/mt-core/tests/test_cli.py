"""The command line: what it hands on, what it says of failures, and what it does not import."""

import errno
import os
import shutil
import subprocess
import sys
from inspect import signature
from types import ModuleType

import pytest

import mt_core
from mt_core.__about__ import __version__
from mt_core.cli import main
from mt_shared.errors import OptionsError

HEAVY = ("torch", "numpy", "ase", "scipy", "metatensor", "metatomic", "vesin", "mt_soap_bpnn")
FUNCTIONS = {"mt_core.training": ["train"], "mt_core.evaluation": ["evaluate", "export"]}
COMMANDS = ("train", "eval", "export", "list", "example", "completion")


@pytest.fixture
def commands(monkeypatch):
    """The three functions behind the commands, replaced; calls are recorded, or raise."""

    class Calls(list):
        failure: BaseException | None = None

    calls = Calls()

    def fake(name):
        def function(**given):
            calls.append((name, given))
            if calls.failure is not None:
                raise calls.failure

        return function

    for module, names in FUNCTIONS.items():
        stand_in = ModuleType(module)
        for name in names:
            setattr(stand_in, name, fake(name))
        monkeypatch.setitem(sys.modules, module, stand_in)
    return calls


def run(*arguments, code=None, **environment):
    command = ["-c", code] if code else ["-m", "mt_core"]
    return subprocess.run(
        [sys.executable, *command, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["list"], ["train", "-h"]])
def test_quick_commands_import_nothing_heavy(arguments):
    code = (
        "import sys, mt_core.cli.commands\n"
        "try: mt_core.cli.commands.main(sys.argv[1:])\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        f"found = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "assert not found, found"
    )
    result = run(*arguments, code=code)
    assert result.returncode == 0, result.stderr


def test_help_names_every_command_and_version_is_the_package_s():
    shown = run("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in COMMANDS)
    assert run().stdout == shown.stdout
    assert run("--version").stdout.strip() == f"mt-core {__version__}"


def test_train_hands_on_only_what_was_given(commands):
    assert main(["train", "options.yaml"]) == 0
    assert commands == [("train", {"options": "options.yaml"})]


def test_train_hands_on_every_option(commands):
    line = "train o.yaml -o m.pt -e ext --restart auto -r a.b=1 -r c=[1] --dry-run --allow-changes"
    assert main(line.split()) == 0
    given = {
        "output": "m.pt",
        "extensions": "ext",
        "restart": "auto",
        "overrides": ["a.b=1", "c=[1]"],
        "dry_run": True,
        "allow_changes": True,
    }
    assert commands == [("train", {"options": "o.yaml"} | given)]


def test_eval_hands_on_every_option(commands):
    assert main("eval m.pt e.yaml -o out.xyz -b 5 -e ext".split()) == 0
    given = {"output": "out.xyz", "batch_size": 5, "extensions": "ext"}
    assert commands == [("evaluate", {"model": "m.pt", "options": "e.yaml"} | given)]


def test_export_hands_on_every_option(commands):
    assert main("export m.ckpt -o m.pt -e ext -m about.yaml".split()) == 0
    given = {"output": "m.pt", "extensions": "ext", "metadata": "about.yaml"}
    assert commands == [("export", {"checkpoint": "m.ckpt"} | given)]


def test_the_functions_take_what_the_commands_hand_on():
    """The commands and the functions are written apart: their options must not drift apart."""
    for function, options in (
        (mt_core.train, "output extensions restart overrides dry_run allow_changes"),
        (mt_core.evaluate, "output batch_size extensions"),
        (mt_core.export, "output extensions metadata"),
    ):
        assert set(options.split()) <= set(signature(function).parameters)


def test_an_abbreviated_or_unknown_option_is_refused(commands, capsys):
    for line in ("train o.yaml --dry", "train o.yaml --epochs 3", "tarin o.yaml"):
        with pytest.raises(SystemExit) as leaving:
            main(line.split())
        assert leaving.value.code == 2
    assert commands == []
    assert capsys.readouterr().err.count("error: mt") == 3


def test_a_user_s_mistake_is_one_message_without_a_traceback(commands, capsys):
    commands.failure = OptionsError("options.yaml: 'epochs' is not known")
    assert main(["train", "options.yaml"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "error: options.yaml: 'epochs' is not known\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] not enough memory: you tried to allocate"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_memory_that_runs_out_says_what_to_lower(commands, capsys, failure):
    commands.failure = failure
    assert main(["train", "options.yaml"]) == 1
    assert "batch_size" in capsys.readouterr().err


def test_a_full_disk_is_said_with_the_file(commands, capsys):
    commands.failure = OSError(errno.ENOSPC, "No space left on device", "model.ckpt")
    assert main(["train", "options.yaml"]) == 1
    shown = capsys.readouterr().err
    assert "no space is left" in shown
    assert "model.ckpt" in shown


def test_a_missing_right_is_said_with_the_file(commands, capsys):
    commands.failure = PermissionError(errno.EACCES, "Permission denied", "/there/model.pt")
    assert main(["export", "model.ckpt"]) == 1
    assert "no right to read or write it: /there/model.pt" in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(commands):
    commands.failure = RuntimeError("shapes differ")
    with pytest.raises(RuntimeError, match="shapes differ"):
        main(["train", "options.yaml"])


def test_ctrl_c_leaves_with_130(commands, capsys):
    commands.failure = KeyboardInterrupt()
    assert main(["train", "options.yaml"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error():
    code = "import sys; from mt_core.cli.commands import main; sys.exit(main(['list']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


def test_the_package_has_the_functions_of_the_commands(commands):
    mt_core.train(options="options.yaml", dry_run=True)
    mt_core.evaluate(model="model.pt", options={})
    mt_core.export(checkpoint="model.ckpt")
    assert [name for name, _ in commands] == ["train", "evaluate", "export"]
    assert set(mt_core.__all__) <= set(dir(mt_core))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = mt_core.trian


def complete(*words):
    """What bash offers for the last word."""
    script = run("completion", "bash").stdout
    line = " ".join(f"'{word}'" for word in words)
    # bash calls the function that `complete -F` names after it has set these two variables
    code = (
        f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
        "eval \"$(complete -p mt | sed 's/.*-F \\([^ ]*\\).*/\\1/')\"\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_options_choices_files_and_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").touch()
    (tmp_path / "old").mkdir()
    assert complete("mt", "tr") == ["train"]
    assert complete("mt", "train", "--dr") == ["--dry-run"]
    assert complete("mt", "train", "opt") == ["options.yaml"]
    assert complete("mt", "train", "options.yaml", "-o", "opt") == ["options.yaml"]
    assert complete("mt", "eval", "model.pt", "opt") == ["options.yaml"]
    assert complete("mt", "eval", "model.pt", "options.yaml", "-e", "o") == ["old"]
    assert complete("mt", "completion", "z") == ["zsh"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_the_completion_of_each_shell_has_every_command_and_no_mistake(shell, tmp_path):
    script = run("completion", shell).stdout
    assert all(command in script for command in COMMANDS)
    if shutil.which(shell):
        (tmp_path / "completion").write_text(script, encoding="utf-8")
        done = subprocess.run([shell, "-n", "completion"], cwd=tmp_path, check=False)
        assert done.returncode == 0, "the shell cannot read it"


def test_a_mistake_in_the_options_does_not_wait_for_torch(tmp_path):
    (tmp_path / "options.yaml").write_text("architecture: {name: soap_bpn}\n")
    program = (
        "import sys\nfrom mt_core.cli.commands import main\n"
        "status = main(['train', 'options.yaml'])\n"
        "sys.exit(f'status {status}, torch {\"torch\" in sys.modules}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == "status 1, torch False", done.stderr

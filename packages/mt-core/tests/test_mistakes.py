"""What users get wrong late at night: told in a few lines with the way out, and nothing is written.

Options files, data, models and checkpoints in each other's place, files of other kinds, paths that
only a shell understands, numbers in other spellings, commands with a letter too few.
"""

import gzip
import os
import zipfile
from pathlib import Path

import pytest
import torch

from mt_core.cli import main

MOST_LINES, MOST_LETTERS = 20, 1500
ADDRESS = "https://example.org/a/model.ckpt"


@pytest.fixture
def told(finished, capsys):
    """Run a command that must be refused, and give what was said: short, with nothing written."""

    def run(*arguments: str, status: int = 1) -> str:
        words = arguments if len(arguments) > 1 else arguments[0].split()
        before = sorted(Path().rglob("*"))
        capsys.readouterr()
        try:
            left = main(list(words))
        except SystemExit as leaving:
            left = leaving.code
        said = capsys.readouterr().err
        assert left == status, f"{words} ended with {left}: {said}"
        assert said.startswith("error: ") and "Traceback" not in said
        assert len(said) <= MOST_LETTERS and said.count("\n") <= MOST_LINES, said
        assert sorted(Path().rglob("*")) == before, "something was written"
        return said

    return run


def options(old: str, new: str) -> None:
    """Write options.yaml with one thing changed."""
    text = Path("options.yaml").read_text(encoding="utf-8")
    assert old in text
    Path("options.yaml").write_text(text.replace(old, new), encoding="utf-8")


def say(said: str, *expected: str) -> None:
    for words in expected:
        assert words in said, f"{words!r} is not in {said!r}"


# ---- the command line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("trian options.yaml", ["no command 'trian' (did you mean 'train'?)"]),
        ("help", ["no command 'help'; there are train, eval"]),
        ("options.yaml", ["'options.yaml' is a file", "mt train options.yaml"]),
        ("describe", ["NAME: an installed architecture; see mt list"]),
        ("train", ["OPTIONS: the options file", "mt example ethanol"]),
        ("eval model.pt", ["OPTIONS: structures and targets", "a file of structures"]),
        ("export", ["CHECKPOINT: the .ckpt of a training"]),
        ("train options.yaml --dry", ["no option --dry (did you mean '--dry-run'?)"]),
        ("train options.yaml --epochs 3", ["no option --epochs"]),
        ("train options.yaml --restart", ["--restart: expected one argument"]),
        ("train options.yaml seed=1", ["to set an option write -r seed=1"]),
        ("train -- options.yaml --dry-run", ["--dry-run stands after --"]),
        ("train options.yaml eval.yaml", ["'eval.yaml' is one argument too many"]),
        ("eval model.pt eval.yaml -b many", ["-b/--batch-size", "'many'"]),
        ("completion bahs", ["'bahs'", "bash"]),
    ],
)
def test_a_command_line_that_cannot_be_says_what_it_takes(told, line, expected):
    said = told(line, status=2)
    say(said, *expected)
    assert said.count("\n") <= 4, "the usage of every option is no answer"


# ---- one kind of file in the place of another

AN_OPTIONS_FILE = "expected an options file, YAML that names the architecture and the data"
A_CHECKPOINT = "expected a checkpoint (.ckpt) of mt train"
A_MODEL = "expected a model that mt train or mt export has written"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train ethanol.xyz", ["'ethanol.xyz' is a file of structures", AN_OPTIONS_FILE]),
        ("train model.pt", ["'model.pt' is an exported model", AN_OPTIONS_FILE]),
        ("train model.ckpt", ["'model.ckpt' is a checkpoint", AN_OPTIONS_FILE]),
        ("train .", ["'.' is a folder", AN_OPTIONS_FILE]),
        ("train eval.yaml", ["it is a data set, as for mt eval"]),
        ("eval model.pt options.yaml", ["it is what mt train takes"]),
        ("eval eval.yaml model.pt", ["the model comes first: mt eval model.pt eval.yaml"]),
        ("eval ethanol.xyz model.ckpt", ["the model comes first: mt eval model.ckpt ethanol.xyz"]),
        ("eval ethanol.xyz eval.yaml", ["'ethanol.xyz' is a file of structures", A_MODEL]),
        ("eval outputs eval.yaml", ["'outputs' is a folder", A_MODEL]),
        ("export options.yaml", ["'options.yaml' is text like options", A_CHECKPOINT]),
        ("export ethanol.xyz", ["'ethanol.xyz' is a file of structures", A_CHECKPOINT]),
        ("export model.pt", ["is an exported model, not a checkpoint"]),
        ("train options.yaml --restart eval.yaml", ["text like options", A_CHECKPOINT]),
        ("export model.ckpt -o new.pt -m ethanol.xyz", ["'ethanol.xyz' is a file of structures"]),
    ],
)
def test_a_file_in_the_place_of_another_is_called_what_it_is(told, line, expected):
    say(told(line), *expected)


def test_data_in_the_place_of_options_are_told_in_two_lines(told):
    first, second = told("train ethanol.xyz").splitlines()
    assert first.endswith(AN_OPTIONS_FILE)
    assert second.startswith("'mt example ethanol .' writes one to start from")


KINDS = {
    "compressed": (gzip.compress(b"seed: 0\n"), "compressed by gzip: unpack it first"),
    "UTF-16": ("seed: 0\n".encode("utf-16"), "text in UTF-16: save it as UTF-8"),
    "a web page": (b"<!DOCTYPE html>\n<html></html>\n", "a web page: download the file itself"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(30), "is a picture"),
    "a PDF": (b"%PDF-1.7\n", "is a PDF"),
    "binary": (b"\x01\x02\x00\x03" * 9, "a binary file of an unknown kind"),
    "empty": (b"", "empty"),
}
COMMANDS = {
    "train": "train options.yaml -r training_set.systems.read_from=wrong.xyz",
    "eval": "eval wrong.xyz eval.yaml",
    "export": "export wrong.xyz",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_files_of_other_kinds_are_known(told, kind, command):
    content, expected = KINDS[kind]
    Path("wrong.xyz").write_bytes(content)
    # a checkpoint may be binary or empty, since it is cut off
    is_cut = command == "export" and kind in ("binary", "empty")
    say(told(COMMANDS[command]), "wrong.xyz", "truncated" if is_cut and content else expected)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "empty"])
def test_options_of_other_kinds_are_known(told, kind):
    content, expected = KINDS[kind]
    Path("wrong.yaml").write_bytes(content)
    say(told("train wrong.yaml"), "wrong.yaml", expected)


def test_data_of_metatrain_on_disk_are_known(told):
    with zipfile.ZipFile("on_disk.zip", "w") as archive:
        archive.writestr("0/system.mta", "")
    Path("mapped").mkdir()
    Path("mapped/ns.npy").touch()
    flag = "training_set.systems.read_from"
    for name, what in (("on_disk.zip", "a data set on disk"), ("mapped", "a memory-mapped")):
        said = told("train", "options.yaml", "-r", f"{flag}={name}")
        say(said, f"'{name}' is {what}", "write its structures as extended xyz")


def test_a_zip_archive_is_to_be_unpacked(told):
    with zipfile.ZipFile("ethanol.zip", "w") as archive:
        archive.write("ethanol.xyz")
    for line in (
        "train options.yaml -r training_set.systems.read_from=ethanol.zip",
        "eval ethanol.zip eval.yaml",
        "export ethanol.zip",
    ):
        say(told(line), "is a zip archive: unpack it first")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (torch.ones(3), "torch has saved a Tensor in it"),
        ([1, 2], "torch has saved a list in it"),
        ({"net.weight": torch.ones(2)}, "weights alone (net.weight, ...)"),
        ({"epoch": 3, "net": {}}, "a dictionary (epoch, net, ...)"),
    ],
)
def test_a_file_of_torch_that_is_no_checkpoint_says_what_it_holds(told, content, expected):
    torch.save(content, "other.ckpt")
    for line in ("export other.ckpt", "eval other.ckpt eval.yaml"):
        say(told(line), "is not a checkpoint of mt", expected)


# ---- paths


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("~/ethanol.xyz", ["only a shell expands ~", "write '{home}/ethanol.xyz'"]),
        ("$HOME/ethanol.xyz", ["only a shell expands ~ and variables", "'{home}/ethanol.xyz'"]),
        ("$NOT_SET_AT_ALL/a.xyz", ["this one is not set"]),
        ("'*.xyz'", ["patterns are not expanded here", "it fits 'ethanol.xyz'"]),
        ("'data/*.xyz'", ["there is no file 'data/*.xyz': patterns are not expanded here"]),
        (ADDRESS, [f"'{ADDRESS}': it is an address; download it first"]),
        ("data\\ethanol.xyz", ["write / between folders"]),
        ("'\"ethanol.xyz\"'", ["the quotes are part of the name; write ethanol.xyz"]),
        ("ethnol.xyz", ["did you mean 'ethanol.xyz'?"]),
        ("data/ethanol.xyz", ["no folder 'data'", "where mt was started"]),
        ("sub", ["'sub' is a folder"]),
    ],
)
def test_a_path_that_leads_nowhere_says_why_with_its_line(told, name, expected, monkeypatch):
    home = Path.cwd() / "home"
    monkeypatch.setenv("HOME", str(home))
    Path("sub").mkdir()
    options("read_from: ethanol.xyz", f"read_from: {name}")
    said = told("train options.yaml")
    say(
        said,
        "training_set.systems.read_from (line 9)",
        *(each.format(home=home) for each in expected),
    )


@pytest.mark.parametrize(
    "line",
    [
        "train {}",
        "eval {} eval.yaml",
        "eval model.pt {}",
        "export {}",
        "train options.yaml --restart {}",
        "train options.yaml -r architecture.training.finetune.read_from={}",
        "train options.yaml -r test_set.indices={}",
    ],
)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (ADDRESS, f"'{ADDRESS}': it is an address"),
        ("~/a.ckpt", "only a shell expands ~"),
        ("a*.nothing", "patterns are not expanded here"),
        ("nowhere/a.ckpt", "no folder 'nowhere'"),
    ],
)
def test_every_path_is_told_in_the_same_words(told, line, name, expected):
    options("test_set: 0.2\n", "test_set: {indices: [1]}\n")
    say(told(line.format(name)), "there is no ", expected)


def test_a_path_that_is_far_too_long_is_shortened(told):
    for line in ("train {}", "eval {} eval.yaml", "eval model.pt {}", "export {}"):
        said = told(*line.format("a" * 9000).split())
        say(said, " ... ")
        assert len(said) < MOST_LETTERS


def test_options_may_come_through_a_pipe(finished, succeed):
    """As in ``mt train <(sed ... options.yaml)``: what is looked at there is lost."""
    end, start = os.pipe()
    os.write(start, Path("options.yaml").read_bytes())
    os.close(start)
    assert "Dry run" in succeed(f"train /dev/fd/{end} --dry-run")


def test_data_beside_the_options_of_another_folder_are_named(told):
    Path("sub").mkdir()
    for name in ("options.yaml", "ethanol.xyz"):
        Path(name).rename(Path("sub", name))
    said = told("train sub/options.yaml")
    say(said, "paths count from", "beside the options there is sub/ethanol.xyz")


@pytest.mark.parametrize("value", ["10%", "'0.1'", "'.1'"])
def test_a_fraction_that_is_text_is_no_path(told, value):
    said = told("train", "options.yaml", "-r", f"validation_set={value}")
    say(said, "1 fault", "write a fraction as a number without quotes")


# ---- YAML


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  name", "\tname", ["options.yaml:3:1", "a tab: indent with blanks"]),
        ("name: soap_bpnn", "name:soap_bpnn", ["line 3 lacks a blank after 'name:'"]),
        ("  name", "\u00a0\u00a0name", ["line 3 has blanks of a web page, U+00A0"]),
        ("unit: eV", "unit: \u201ceV\u201d", ["options.yaml:11:20", "U+201C"]),
        ("ethanol.xyz", "\u2018ethanol.xyz\u2019", ["options.yaml:9:24", "U+2018"]),
        ("seed: 0", "seed: 0\nseed: 1", ["duplicate key 'seed', already in line 1"]),
        ("seed: 0", "seed: .nan", ["seed (line 1): found nan, expected a whole number"]),
        ("seed: 0", "seed: '7'", ["found '7'", "write 7, without quotes"]),
        ("num_epochs: 2", "num_epochs: 1_000", ["write 1000, without quotes"]),
        ("num_epochs: 2", "num_epochs: 2, learning_rate: 1.0D-03", ["write 1.0e-03"]),
        ("num_epochs: 2", "num_epochs: 2, learning_rate: 1e\u22123", ["write 1e-3"]),
        ("num_epochs: 2", "num_epochs: 2, learning_rate: '0,001'", ["write 0.001"]),
        ("ethanol.xyz", "${DATA}/a.xyz", ["options.yaml:9:", "variables are not filled in"]),
        ("seed: 0", "num_epochs: 5", ["it belongs below 'architecture'", "training.num_epochs"]),
        ("ethanol.xyz", "*.xyz", ["put a value that begins with * in quotes"]),
        ("ethanol.xyz", "@data.xyz", ["put a value that begins with @ in quotes"]),
        ("  training", " training", ["options.yaml:7:2", "indented like those beside it"]),
        ("forces: true", "forces: 'true'", ["'true' is refused", "without quotes"]),
        ("forces: true", "forces: forces", ["no file 'forces'", "write {key: forces}"]),
        ("{unit: eV, forces: true}", "U0", ["no file 'U0'", "write {key: U0}"]),
        ("{read_from: ethanol.xyz, length_unit: angstrom}", "[a.xyz]", ["several data sets"]),
        ("seed: 0", f"seed: {'x' * 5000}", ["found 'xxxx", " ... "]),
    ],
)
def test_what_yaml_makes_of_a_slip_is_said_with_its_line(told, old, new, expected):
    options(old, new)
    say(told("train options.yaml"), *expected)


def test_what_eval_takes_is_told_with_its_line(told):
    Path("eval.yaml").write_text("systems: ethanol.xyz\ntargets:\n  enrgy: {}\n", encoding="utf-8")
    say(told("eval model.pt eval.yaml"), "targets.enrgy (line 3)", "did you mean 'energy'?")


def test_latin_1_is_told_with_line_and_letter(told):
    for name, line in (
        ("options.yaml", "train options.yaml"),
        ("ethanol.xyz", "eval model.pt ethanol.xyz"),
    ):
        text = Path(name).read_text(encoding="utf-8")
        changed = text.replace("seed", "# f\u00fcr\nseed").replace("pbc=", "by=J\u00fcrgen pbc=")
        Path(name).write_text(changed, encoding="latin-1")
        said = told(line)
        say(said, f"'{name}', line ", "in Latin-1 there would be '\u00fc'", "iconv -f latin1")
        Path(name).write_text(text, encoding="utf-8")


def test_very_many_faults_fit_on_a_screen(told):
    with Path("options.yaml").open("a", encoding="utf-8") as file:
        file.writelines(f"key{number}: 1\n" for number in range(300))
    said = told("train options.yaml")
    say(said, "300 faults", "key0 (line 14): unknown key, known here: architecture", "and 285 more")


def test_an_error_of_others_is_cut_in_its_middle(monkeypatch, finished, capsys):
    from mt_shared.errors import ArchitectureError

    def train(**given):
        raise ArchitectureError("\n".join(["first " + "x" * 9000, *"abc" * 50, "do that"]))

    monkeypatch.setattr("mt_core.train", train)
    assert main(["train", "options.yaml"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: first xxx") and said.endswith("do that\n")
    assert said.count("\n") <= MOST_LINES and len(said) < 2 * MOST_LETTERS


@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_files_of_windows_are_read(finished, succeed, mark):
    for name in ("eval.yaml", "ethanol.xyz"):
        text = Path(name).read_text(encoding="utf-8")
        Path(name).write_bytes((mark + text).replace("\n", "\r\n").encode())
    before = succeed("eval model.pt eval.yaml")
    assert "40 structures evaluated" in before


# ---- numbers and elements in data


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("0.275727", "2.75727D-01", ["line 4", "write 2.75727e-01 for 2.75727D-01"]),
        ("0.275727", "0,275727", ["line 4", "write 0.275727 for 0,275727"]),
        (
            "energy=-309.61756173",
            "energy=-3.0961D+02",
            ["is no number: -3.0961D+02 (write -3.0961e+02)"],
        ),
        ("\nC ", "\n6 ", ["names the element '6'", "Properties=Z:I:1:pos:R:3"]),
        ("\nC ", "\nCA1 ", ["names the element 'CA1'"]),
        ("9\nProp", "structures:\n9\nProp", ["an extended xyz file begins with one"]),
    ],
)
def test_data_in_another_spelling_are_told_with_the_right_one(finished, refuse, old, new, expected):
    text = Path("ethanol.xyz").read_text(encoding="utf-8")
    assert old in text
    Path("ethanol.xyz").write_text(text.replace(old, new, 1), encoding="utf-8")
    say(refuse("train options.yaml"), "ethanol.xyz", *expected)


@pytest.mark.parametrize(
    "content", ["one\n", "\u00e9\n".encode("latin-1"), b"99999999999999999999\n"]
)
def test_indices_that_are_none_are_told(finished, refuse, content):
    Path("numbers.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    say(refuse("train", "options.yaml", "-r", "test_set={indices: numbers.txt}"), "numbers.txt")

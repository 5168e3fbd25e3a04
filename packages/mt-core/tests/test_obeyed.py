"""Options that were neither obeyed nor refused: now each is an alias, a note or a refusal."""

from pathlib import Path

import pytest
import torch

from mt_core import load_model
from mt_core.training import plan
from mt_shared.contract import read_checkpoint, write_checkpoint

SHORT = "train options.yaml -r final_eval=false -r architecture.training.num_epochs=1 -r"
TRAIN = f"{SHORT} architecture.training."


def state() -> dict[str, torch.Tensor]:
    checkpoint = read_checkpoint("model.ckpt")
    return checkpoint["best_state"] or checkpoint["state"]


def same(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("other", "usual", "value"),
    [
        ("grad_clip_norm", "gradient_clip_norm", "0.01"),
        ("gradient_clipping", "gradient_clip_norm", "0.01"),
        ("fixed_composition_weights", "atomic_baseline", "{energy: {1: -13.0}}"),
    ],
)
def test_names_of_metatrain_are_obeyed(workspace, succeed, other, usual, value):
    succeed(*SHORT.split(), f"architecture.training.{usual}={value}")
    first = state()
    succeed(*SHORT.split(), f"architecture.training.{other}={value}")
    assert same(first, state())


def test_a_name_of_metatrain_has_its_origin_and_its_line(workspace, succeed, refuse):
    text = Path("options.yaml").read_text(encoding="utf-8")
    text = text.replace("batch_size: 8", "batch_size: 8,\n    grad_clip_norm: 2.5")
    Path("options.yaml").write_text(text, encoding="utf-8")
    (line,) = [
        each
        for each in succeed("train options.yaml --dry-run").splitlines()
        if "architecture.training.gradient_clip_norm" in each
    ]
    assert line.split()[1:] == ["2.5", "file"]
    Path("options.yaml").write_text(text.replace("2.5", "no"), encoding="utf-8")
    said = refuse("train options.yaml")
    assert "architecture.training.gradient_clip_norm (line 8): found 'no'" in said


def test_a_hyper_under_both_of_its_names_is_refused(workspace, refuse):
    flags = [
        f"architecture.training.{name}=1.0" for name in ("grad_clip_norm", "gradient_clip_norm")
    ]
    said = refuse("train", "options.yaml", "-r", flags[0], "-r", flags[1])
    assert "1 fault" in said
    assert "it is another name of 'gradient_clip_norm', which is there too: keep one" in said


def test_other_names_are_not_among_the_hypers(succeed):
    said = succeed("describe soap_bpnn --defaults")
    assert "gradient_clip_norm" in said
    assert "grad_clip_norm" not in said


@pytest.mark.parametrize(
    ("options", "as_if"),
    [
        # metatrain's PET takes AdamW for a weight decay, and Adam without
        ("weight_decay=0.5", "optimizer=adamw -r architecture.training.weight_decay=0.5"),
        ("weight_decay=null", "weight_decay=0.0"),
        ("weight_decay=0.0", "optimizer=adam"),
    ],
)
def test_weight_decay_means_what_it_means_in_metatrain(workspace, succeed, options, as_if):
    succeed(TRAIN + as_if)
    first = state()
    succeed(TRAIN + options)
    assert same(first, state())


def test_an_l2_penalty_is_there_for_who_asks_for_it(workspace, succeed):
    succeed(TRAIN + "weight_decay=0.5")
    first = state()
    succeed(TRAIN + "weight_decay=0.5 -r architecture.training.optimizer=adam")
    assert not same(first, state())


@pytest.mark.parametrize(
    "loss", ["{energy: {weight: 0.0, forces: {weight: 0.0}}}", "{energy: {weight: 0}}"]
)
def test_weights_that_leave_nothing_to_learn_are_refused(workspace, mt, loss):
    outcome = mt("train", "options.yaml", "--dry-run", "-r", f"architecture.training.loss={loss}")
    # the forces have a weight of their own
    assert outcome.status == ("forces" in loss)
    assert ("nothing would be learnt" in outcome.err) == ("forces" in loss)


def test_allowing_changes_where_nothing_is_compared_is_refused(workspace, refuse):
    assert "--allow-changes is for a restart" in refuse("train options.yaml --allow-changes")


# ---- print_stats


@pytest.mark.parametrize(
    ("wish", "many", "shown"),
    [("auto", 1000, True), ("auto", 40, False), ("true", 40, True), ("false", 1000, False)],
)
def test_statistics_are_shown_where_print_stats_says(
    workspace, succeed, monkeypatch, wish, many, shown
):
    monkeypatch.setattr(plan, "MANY_STRUCTURES", many)
    said = succeed(f"train options.yaml --dry-run -r print_stats={wish}")
    assert ("@frame" in said) == shown
    assert ("40 structures; the table of their labels" in said) == (wish == "auto" and not shown)


# ---- elements that no frame has


def test_elements_that_no_structure_has_are_made_and_noted(workspace, succeed):
    said = succeed("train", "options.yaml", "-r", "architecture.atomic_types=[H, C, O, Au, N]")
    assert "note: no structure of the training set has N, Au (architecture.atomic_types)" in said
    assert load_model("model.pt").capabilities().atomic_types == [1, 6, 7, 8, 79]


def test_elements_that_are_all_there_are_not_noted(workspace, succeed):
    said = succeed(
        "train", "options.yaml", "--dry-run", "-r", "architecture.atomic_types=[H, C, O]"
    )
    assert "architecture.atomic_types)" not in said


# ---- a checkpoint from before the first epoch


def test_a_model_from_before_the_first_epoch_is_noted(finished, succeed):
    checkpoint = read_checkpoint("model.ckpt")
    checkpoint["trainer"]["epoch"] = 0
    write_checkpoint(checkpoint, "early.ckpt")
    for line in ("export early.ckpt -o early.pt", "eval early.ckpt eval.yaml"):
        assert "saved before the first epoch had ended" in succeed(line)
    assert "first epoch" not in succeed("export model.ckpt -o again.pt")


# ---- what is left in a user's folder


def test_the_suite_keeps_its_cache_out_of_the_folder_of_the_user(monkeypatch, tmp_path):
    from mt_core.architectures.conformance import pytest_command

    monkeypatch.chdir(tmp_path)
    for home in (None, str(tmp_path / "cache")):
        if home is None:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", home)
        (option,) = [each for each in pytest_command("toy", [], tmp_path) if "cache_dir" in each]
        folder = Path(option.removeprefix("cache_dir="))
        assert folder == Path(home or Path.home() / ".cache") / "mt-conformance"

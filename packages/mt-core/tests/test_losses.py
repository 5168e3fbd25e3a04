"""A loss of another package, from the options file to the trained model."""

import csv
import json
import subprocess
import sys

import pytest

CHARBONNIER = '''\
"""A package of losses, as an author writes it."""


class Charbonnier:
    def __init__(self, epsilon=1.0):
        self.epsilon = epsilon

    def __call__(self, predicted, label):
        return ((predicted - label) ** 2 + self.epsilon**2).sqrt().mean() - self.epsilon
'''
SCHEMA = {
    "description": "sqrt(error^2 + epsilon^2) - epsilon.",
    "type": "object",
    "properties": {
        "epsilon": {"description": "Where it bends.", "type": "number", "exclusiveMinimum": 0}
    },
}
LOSS = "architecture.training.loss"
FLOAT64 = "base_precision=64"


@pytest.fixture
def robust_losses(tmp_path_factory, write_distribution, on_path):
    """The package, installed as pip leaves it."""
    site = tmp_path_factory.mktemp("site")
    entry_point = "charbonnier = robust_losses:Charbonnier"
    write_distribution(site, "robust-losses", f"[mt.losses]\n{entry_point}\n")
    package = site / "robust_losses"
    package.mkdir()
    (package / "__init__.py").write_text(CHARBONNIER)
    (package / "schema-charbonnier.json").write_text(json.dumps(SCHEMA))
    on_path(site)
    return site


def losses(run):
    with (run / "train.csv").open(newline="", encoding="utf-8") as file:
        return [float(row["train loss"]) for row in csv.DictReader(file)]


def test_a_model_is_trained_by_it(robust_losses, workspace, succeed, newest_run):
    """Without a bend the loss of Charbonnier is the mean absolute error, with one it is less."""
    found = {}
    for loss in ("mae", *(f"{{energy: {charbonnier(each)}}}" for each in (1e-9, 1.0))):
        succeed("train", "options.yaml", "-o", "x.pt", "-r", f"{LOSS}={loss}", "-r", FLOAT64)
        found[loss] = losses(newest_run())
    absolute, sharp, smooth = found.values()
    assert sharp == pytest.approx(absolute, rel=1e-5)
    assert 0 < smooth[0] < 0.9 * absolute[0]


def charbonnier(epsilon):
    term = f"type: charbonnier, epsilon: {epsilon:.10f}"
    return f"{{{term}, forces: {{{term}}}}}"


def test_mt_describe_tells_of_it(robust_losses, succeed):
    said = succeed("describe soap_bpnn")
    assert "  training.loss.TARGET.epsilon" in said.splitlines()
    assert "Of charbonnier: Where it bends. Takes a number, above 0." in said


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("charbonier", "(did you mean 'charbonnier'?)"),
        ("{energy: {type: charbonnier, epsilno: 1}}", "unknown key, did you mean 'epsilon'?"),
        ("{energy: {type: charbonnier, epsilon: 0}}", "found 0, expected a number above 0"),
        ("{energy: {epsilon: 1}}", "only the type 'charbonnier' has it"),
    ],
)
def test_wrong_options_of_it_are_refused_before_torch_is_there(
    robust_losses, workspace, loss, expected
):
    text = workspace.joinpath("options.yaml").read_text()
    text = text.replace("  training: {", f"  training: {{loss: {loss}, ")
    workspace.joinpath("options.yaml").write_text(text)
    code = (
        f"import sys; sys.path.insert(0, {str(robust_losses)!r})\n"
        "from mt_core.cli import main\n"
        "assert main(['train', 'options.yaml']) == 1\n"
        "print(sorted({'torch', 'robust_losses'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert expected in run.stderr
    assert "(line 7)" in run.stderr

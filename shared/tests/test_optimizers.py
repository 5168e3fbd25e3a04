"""Steps of the optimizers, against torch's own, and their way through a checkpoint."""

import io
import subprocess
import sys

import pytest
import torch

from mt_shared.engine import Adam, Optimizer, TorchOptimizer
from mt_shared.errors import ArchitectureError

FLOATS = [torch.float32, torch.float64]


def network(dtype=torch.float64):
    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    return torch.nn.Sequential(*layers).to(dtype)


def steps(model, optimizer, count, begin=0):
    """Steps of a training whose data change with the step."""
    for step in range(begin, begin + count):
        optimizer.zero_grad()
        inputs = torch.full((3, 4), float(step), dtype=next(model.parameters()).dtype)
        (model(inputs).square().sum() / (1 + step)).backward()
        optimizer.step()


def assert_same(model, other, rtol):
    for found, expected in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol)


def through_a_checkpoint(model, optimizer):
    """The states of both, as a file gives them back."""
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state()}, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


@pytest.fixture(params=["fused", "calls"])
def way(request, monkeypatch):
    """Each way in which Adam makes its steps: by torch's kernel, and without one."""
    if request.param == "calls":
        monkeypatch.delattr(torch, "_fused_adam_")
        monkeypatch.delattr(torch, "_fused_adamw_")


class TestAdam:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("weight_decay", [0.0, 0.1])
    @pytest.mark.parametrize("decoupled", [False, True])
    def test_steps_are_those_of_torch(self, way, dtype, weight_decay, decoupled):
        ours, theirs = network(dtype), network(dtype)
        kind = torch.optim.AdamW if decoupled else torch.optim.Adam
        reference = kind(theirs.parameters(), lr=1e-2, weight_decay=weight_decay, foreach=False)
        optimizer = Adam(ours.parameters(), 1e-2, weight_decay, decoupled)
        for number in range(20):
            # as a schedule does
            optimizer.learning_rate = reference.param_groups[0]["lr"] = 1e-2 / (1 + number)
            steps(ours, optimizer, 1, number)
            steps(theirs, reference, 1, number)
        assert_same(ours, theirs, 1e-12 if dtype == torch.float64 else 1e-5)

    @pytest.mark.parametrize("decoupled", [False, True])
    def test_the_kernel_of_torch_makes_them(self, decoupled, monkeypatch):
        """IF IT FAILS: look in ``torch/optim/adam.py`` for what ``_fused_adam`` calls now, and call
        the same in ``engine/optimization.py``. Until then steps are right, and several times
        slower.
        """
        name = "_fused_adamw_" if decoupled else "_fused_adam_"
        kernel, calls = getattr(torch, name), []

        def counted(*arguments, **more):
            calls.append(len(arguments[0]))
            return kernel(*arguments, **more)

        monkeypatch.setattr(torch, name, counted)
        for dtype in FLOATS:
            model = network(dtype)
            optimizer = Adam(model.parameters(), 1e-2, 0.0, decoupled)
            calls.clear()
            steps(model, optimizer, 3)
            assert calls == [4, 4, 4], f"for {dtype} the slower fall back makes the steps"

    def test_what_the_kernel_refuses_is_stepped_without_it(self, monkeypatch):
        def refuse(*arguments, **more):
            raise NotImplementedError("not for this device")

        monkeypatch.setattr(torch, "_fused_adam_", refuse)
        ours, theirs = network(), network()
        steps(ours, Adam(ours.parameters(), 1e-2, 0.0, False), 3)
        steps(theirs, torch.optim.Adam(theirs.parameters(), lr=1e-2), 3)
        assert_same(ours, theirs, 1e-12)

    def test_parameters_whose_numbers_do_not_follow_one_another(self):
        def transposed():
            torch.manual_seed(0)
            return torch.nn.Parameter(torch.rand(3, 4, dtype=torch.float64).T)

        ours, theirs = transposed(), transposed()
        optimizers = Adam([ours], 1e-2, 0.0, False), torch.optim.Adam([theirs], lr=1e-2)
        for parameter, optimizer in zip((ours, theirs), optimizers):
            for _ in range(3):
                optimizer.zero_grad()
                (parameter**3).sum().backward()
                optimizer.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)

    def test_a_parameter_without_a_gradient_has_one_of_zero(self, way):
        """Its mean decays, so that it goes on moving by what it has learnt before."""
        model = network()
        optimizer = Adam(model.parameters(), 1e-2, 0.0, False)
        steps(model, optimizer, 2)
        before = model[2].weight.detach().clone()
        mean = optimizer.mean.clone()
        optimizer.zero_grad()
        optimizer.step()
        torch.testing.assert_close(optimizer.mean, 0.9 * mean)
        assert not torch.equal(model[2].weight, before)

    @pytest.mark.parametrize("decoupled", [False, True])
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_a_run_goes_on_with_the_kernel_as_it_would_without(self, dtype, decoupled, monkeypatch):
        """Checkpoints from before the kernel was used hold the same state."""

        def make():
            model = network(dtype)
            return model, Adam(model.parameters(), 1e-2, 0.1, decoupled)

        resumed, with_kernel = make()
        with monkeypatch.context() as patch:
            patch.delattr(torch, "_fused_adam_")
            patch.delattr(torch, "_fused_adamw_")
            model, without = make()
        steps(model, without, 10)
        resumed.load_state_dict(model.state_dict())
        with_kernel.load_state(without.state())
        steps(model, without, 20, begin=10)
        steps(resumed, with_kernel, 20, begin=10)
        assert with_kernel.num_steps == without.num_steps == 30
        assert_same(resumed, model, 1e-6)

    def test_the_state_goes_through_a_checkpoint_to_the_last_digit(self, way):
        model = network()
        optimizer = Adam(model.parameters(), 1e-2, 0.1, True)
        steps(model, optimizer, 5)
        saved = through_a_checkpoint(model, optimizer)
        assert set(saved["optimizer"]) == {"num_steps", "learning_rate", "mean", "square"}
        assert saved["optimizer"]["mean"].shape == (4 * 5 + 5 + 5 + 1,)
        other = network()
        restarted = Adam(other.parameters(), 1e-2, 0.1, True)
        other.load_state_dict(saved["model"])
        restarted.load_state(saved["optimizer"])
        for each, its_model in ((optimizer, model), (restarted, other)):
            steps(its_model, each, 5, begin=5)
        assert_same(other, model, 0)

    def test_a_restart_after_the_last_step_of_an_epoch_knows_its_rate(self):
        """Then no step of the epoch is left that would set it, but its line is to be written."""
        optimizer = Adam(network().parameters(), 1e-2, 0.0, False)
        optimizer.learning_rate = 3e-3
        restarted = Adam(network().parameters(), 1e-2, 0.0, False)
        restarted.load_state(optimizer.state())
        assert restarted.learning_rate == 3e-3

    def test_making_one_does_not_import_the_compiler(self):
        program = (
            "import sys, torch\nfrom mt_shared.engine import Adam\n"
            "w = torch.nn.Parameter(torch.ones(2))\nopt = Adam([w], 1.0, 0.0, False)\n"
            "w.sum().backward()\nopt.step()\nsys.exit('torch._dynamo' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", program]).returncode == 0


class TestTorchOptimizer:
    def sgd(self, model) -> Optimizer:
        groups = [
            {"params": model[0].parameters(), "lr": 1e-2},
            {"params": model[2].parameters(), "lr": 1e-3},
        ]
        return TorchOptimizer(torch.optim.SGD(groups, momentum=0.9))

    def test_groups_keep_the_ratio_of_their_learning_rates(self):
        model = network()
        optimizer = self.sgd(model)
        assert optimizer.learning_rate == 1e-2
        assert len(optimizer.parameters) == 4
        for rate in (4e-2, 0.0, 2e-2):  # a schedule may go through zero
            optimizer.learning_rate = rate
        assert optimizer.learning_rate == 2e-2
        before = [parameter.detach().clone() for parameter in model.parameters()]
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        moved = [float((old - new).detach().mean()) for old, new in zip(before, model.parameters())]
        assert moved == pytest.approx([2e-2, 2e-2, 2e-3, 2e-3])

    def test_a_restart_goes_on_as_if_it_had_not_stopped(self):
        model = network()
        optimizer = self.sgd(model)
        steps(model, optimizer, 5)
        optimizer.learning_rate = 5e-3
        saved = through_a_checkpoint(model, optimizer)
        other = network()
        restarted = self.sgd(other)
        other.load_state_dict(saved["model"])
        restarted.load_state(saved["optimizer"])
        assert restarted.learning_rate == 5e-3
        for each, its_model in ((optimizer, model), (restarted, other)):
            each.learning_rate = 1e-3
            steps(its_model, each, 5, begin=5)
        assert_same(other, model, 0)

    def test_a_parameter_without_a_gradient_has_one_of_zero(self):
        model = network()
        optimizer = self.sgd(model)
        steps(model, optimizer, 2)
        before = model[2].weight.detach().clone()
        optimizer.zero_grad()
        optimizer.step()
        assert not torch.equal(model[2].weight, before), "its momentum is there still"

    def test_a_first_group_that_stands_still_is_refused(self):
        with pytest.raises(ArchitectureError, match="learning rate of zero"):
            TorchOptimizer(torch.optim.SGD(network().parameters(), lr=0.0))


class TestReach:
    """What no label has ever reached stays as it is."""

    @pytest.mark.parametrize("decoupled", [False, True])
    def test_weight_decay_leaves_it_alone(self, way, decoupled):
        first, second = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
        optimizer = Adam([first, second], 0.1, 0.5, decoupled)
        first.square().sum().backward()
        optimizer.step()
        assert torch.equal(second, torch.ones(3))
        assert not torch.equal(first, torch.ones(3))

    def test_a_restart_knows_what_was_reached(self, way):
        def make():
            return [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]

        parameters, again = make(), make()
        whole, stopped = (Adam(each, 0.1, 0.5, True) for each in (parameters, again))
        for optimizer, (first, _) in ((whole, parameters), (stopped, again)):
            first.square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        resumed = Adam(again, 0.1, 0.5, True)
        resumed.load_state(stopped.state())
        # a batch that reaches nothing
        for optimizer in (whole, resumed):
            optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(parameters, again))


def test_settings_of_the_options_are_obeyed_at_a_restart():
    model = network()
    first = TorchOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1))
    steps(model, first, 2)
    second = TorchOptimizer(torch.optim.SGD(model.parameters(), lr=0.2, weight_decay=0.5))
    second.load_state(first.state())
    assert second.optimizer.param_groups[0]["weight_decay"] == 0.5

"""Regularised least squares, against solutions of another kind."""

import torch

from mt_gap.equations import LeastSquares


def problem(num_equations=200, num_unknowns=12, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    root = random(num_unknowns, num_unknowns)
    return random(num_equations, num_unknowns), random(num_equations), root @ root.T


def test_solution_is_that_of_the_normal_equations():
    rows, values, covariance = problem()
    equations = LeastSquares(covariance)
    equations.add(rows, values)
    expected = torch.linalg.solve(rows.T @ rows + covariance, rows.T @ values)
    torch.testing.assert_close(equations.solve(), expected)


def test_batches_make_no_difference():
    rows, values, covariance = problem()
    whole, parts = LeastSquares(covariance), LeastSquares(covariance)
    whole.add(rows, values)
    for part in torch.arange(len(rows)).split(7):
        parts.add(rows[part], values[part])
    torch.testing.assert_close(parts.solve(), whole.solve())


def test_functions_may_be_copies_of_one_another():
    """Twice the same function, and one that is zero: predictions are as without them."""
    rows, values, covariance = problem(num_unknowns=5)
    doubled = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    alone, redundant = LeastSquares(covariance), LeastSquares(torch.zeros(8, 8).double())
    larger = torch.zeros(8, 8, dtype=torch.float64)
    larger[:7, :7] = covariance[doubled][:, doubled]
    redundant = LeastSquares(larger)
    columns = torch.cat([rows[:, doubled], torch.zeros(len(rows), 1).double()], 1)
    alone.add(rows, values)
    redundant.add(columns, values)
    found, expected = columns @ redundant.solve(), rows @ alone.solve()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_digits_that_normal_equations_lose_are_kept():
    """With a noise of 1e-7 the normal equations have a condition number beyond float64."""
    rows, _, covariance = problem(num_unknowns=8)
    rows = rows * torch.logspace(0, -4, 8, dtype=torch.float64) / 1e-7
    wanted = torch.ones(8, dtype=torch.float64)
    equations = LeastSquares(1e-3 * covariance)
    equations.add(rows, rows @ wanted)
    torch.testing.assert_close(equations.solve(), wanted, rtol=0, atol=1e-5)


def test_without_equations_all_is_zero():
    _, _, covariance = problem()
    assert torch.equal(LeastSquares(covariance).solve(), torch.zeros(12, dtype=torch.float64))

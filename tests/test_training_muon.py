import pytest
import torch

from latentkit.training import muon
from latentkit.training.muon import Muon, nearly_orthogonal


def _both(shape, steps=3):
    """One matrix trained by our Muon and by torch's, on the same gradients."""
    torch.manual_seed(0)
    start = torch.randn(shape)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    options = {"lr": 0.5, "weight_decay": 0.1, "momentum": 0.95}
    optimizers = Muon([ours], **options), torch.optim.Muon([theirs], nesterov=True, **options)
    for _ in range(steps):
        gradient = torch.randn(shape)
        for matrix, optimizer in zip((ours, theirs), optimizers, strict=True):
            matrix.grad = gradient.clone()
            optimizer.step()
    return start, ours.detach(), theirs.detach()


@pytest.mark.parametrize("shape", [(24, 24), (48, 16), (16, 48)])
@pytest.mark.parametrize("bfloat16", [True, False])
def test_steps_are_those_of_torch_up_to_rounding(shape, bfloat16, monkeypatch):
    monkeypatch.setattr(muon, "has_bfloat16", lambda device: bfloat16)
    start, ours, theirs = _both(shape)
    assert (ours - theirs).norm() < 0.02 * (theirs - start).norm()


def test_multiplies_in_float32_where_the_device_has_no_bfloat16(monkeypatch):
    seen = []

    def keep(matrix):
        seen.append(matrix.dtype)
        return nearly_orthogonal(matrix)

    monkeypatch.setattr(muon, "nearly_orthogonal", keep)
    for known in (True, False):
        monkeypatch.setattr(muon, "has_bfloat16", lambda device, known=known: known)
        _both((8, 8), steps=1)
    assert seen == [torch.bfloat16, torch.float32]


def test_a_matrix_without_gradient_stays():
    matrix = torch.nn.Parameter(torch.ones(4, 4))
    Muon([matrix], lr=0.1).step()
    assert (matrix == 1).all()

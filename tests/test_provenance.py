"""The digest of a model's weights: computed once, and never stale."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from latentkit.run import provenance
from latentkit.run.provenance import weights_digest


def network(dtype=torch.float32, width=6):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(width, 5), nn.Linear(5, 3), nn.LayerNorm(3)).to(dtype)


@pytest.fixture
def computed(monkeypatch):
    """How often a whole digest was computed."""
    calls = []
    whole = provenance._whole_digest
    monkeypatch.setattr(provenance, "_whole_digest", lambda module: (calls.append(1), whole(module))[1])
    return calls


def test_a_digest_is_computed_once_while_nothing_changes(computed):
    module = network()
    assert len({weights_digest(module) for _ in range(3)}) == 1
    assert len(computed) == 1


def test_equal_weights_elsewhere_have_the_same_digest_of_their_own(computed):
    module = network()
    assert weights_digest(module) == weights_digest(copy.deepcopy(module)) == weights_digest(network())
    assert len(computed) == 3


def zeroed(weight):
    with torch.no_grad():
        weight.zero_()


def zeroed_behind_torchs_back(weight):
    weight.data.zero_()


def one_number_through_data(weight):
    weight.data.view(-1)[1] += 2.0**-6


def one_number_through_numpy(weight):
    weight.detach().numpy().flat[1] += 1


def rows_exchanged_through_data(weight):
    weight.data[[0, 1]] = weight.data[[1, 0]]


def numbers_exchanged_in_a_row(weight):
    with torch.no_grad():
        weight[0, :2] = weight[0, :2].flip(0).clone()


CHANGES = [
    zeroed,
    zeroed_behind_torchs_back,
    one_number_through_data,
    rows_exchanged_through_data,
    numbers_exchanged_in_a_row,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("width", [6, 8])
def test_a_weight_changed_in_place_changes_the_digest(change, dtype, width):
    module = network(dtype, width)
    before = weights_digest(module)
    change(module[0].weight)
    after = weights_digest(module)
    assert after != before
    assert after == weights_digest(copy.deepcopy(module))  # and is what it would be without a memory


def test_a_write_through_a_shared_numpy_array_changes_it_too():
    module = network()
    before = weights_digest(module)
    one_number_through_numpy(module[2].bias)
    assert weights_digest(module) != before


def test_a_weight_put_in_the_place_of_another_changes_the_digest():
    module = network()
    before = weights_digest(module)
    module[1].weight = nn.Parameter(torch.ones(3, 5))
    assert weights_digest(module) != before


def test_a_weight_put_back_gives_the_first_digest_again():
    module = network()
    before, kept = weights_digest(module), module[1].bias.detach().clone()
    zeroed(module[1].bias)
    assert weights_digest(module) != before
    module[1].bias.data.copy_(kept)
    assert weights_digest(module) == before


def test_weights_without_a_count_of_changes_have_a_digest_too():
    with torch.inference_mode():
        module = network()
        before = weights_digest(module)
        module[0].weight.zero_()
        assert weights_digest(module) != before


def test_a_weight_that_is_a_view_of_another_tensor_has_a_digest():
    module = nn.Linear(3, 2)
    whole = torch.arange(14, dtype=torch.float32)
    module.weight = nn.Parameter(whole[1:13].view(6, 2).T[:, ::2])
    before = weights_digest(module)
    whole[1] = 7
    assert weights_digest(module) != before


def test_a_digest_does_not_keep_a_module_alive():
    module = network()
    weights_digest(module)
    before = len(provenance._known)
    del module
    assert len(provenance._known) == before - 1


def test_the_digest_is_that_of_names_shapes_types_and_bytes():
    module = nn.Linear(2, 1, bias=False)
    zeroed(module.weight)
    assert weights_digest(module) == "64fa8345ef6ec80d"

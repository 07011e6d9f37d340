"""Small models of the families with random weights, by name: the architecture alone."""

from __future__ import annotations

import pytest
import torch

import latentkit as lk
from latentkit.errors import ArgumentError
from latentkit.models.family.untrained import UNTRAINED
from latentkit.models.loading import MODELS
from latentkit.testing import check_recurrent_model

IDS = torch.tensor([[30, 31, 32]])


def test_every_untrained_family_has_a_name_that_load_model_takes() -> None:
    assert set(UNTRAINED) | {"nano-untrained"} == {name for name in MODELS if name.endswith("-untrained")}


@pytest.mark.parametrize("name", UNTRAINED)
def test_an_untrained_family_keeps_the_contract_and_reads_text(name: str) -> None:
    model = lk.load_model(name)
    check_recurrent_model(model)
    trace = lk.run_recurrence(model, "The capital of France is", iterations=2, limit=3, progress=False)
    assert trace.attrs["model"] == name
    assert trace.token_text.values.tolist()[-1] == " is"


def test_untrained_weights_are_the_same_every_time_and_drawn_by_the_rule() -> None:
    one, other = (dict(lk.load_model("ouro-untrained").module.named_parameters()) for _ in range(2))
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name
        if weight.dim() > 1 and weight.numel() > 10_000:
            inputs = 1 if "embed" in name else weight.shape[1]
            assert float(weight.std() * inputs**0.5) == pytest.approx(1, rel=0.05), name
        elif weight.dim() == 1:
            assert weight.unique().tolist() == [0.0 if name.endswith("bias") else 1.0], name


def test_an_untrained_model_takes_a_dtype_and_no_revision() -> None:
    model = lk.load_model("parcae-untrained", dtype="float64")
    state = model.step(model.initial_state(context := model.embed(IDS), 0), context)
    assert state.dtype == torch.float64
    with pytest.raises(ArgumentError, match="parcae-untrained is made from a fixed seed"):
        lk.load_model("parcae-untrained", revision="main")

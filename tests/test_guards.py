"""The guards of all tests: no network, and shapes checked at run time."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from shape_checks import check_shapes
from torch import Tensor

import latentkit as lk


def test_another_machine_cannot_be_reached(hub_online):
    with socket.socket() as outside, pytest.raises(OSError, match="network") as caught:
        outside.connect(("192.0.2.1", 80))
    assert str(caught.value) == "The tests run without a network, and this one tried to reach 192.0.2.1."


def test_the_name_of_another_machine_is_not_looked_up(hub_online):
    with pytest.raises(OSError, match="network") as caught:
        socket.getaddrinfo("example.org", 443)
    assert str(caught.value) == "The tests run without a network, and this one tried to reach example.org."


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(("localhost", server.getsockname()[1]))


def _ask_the_hub():
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("nobody/nothing", "config.json")


def test_the_hub_is_offline_by_default(no_network):
    _ask_the_hub()
    assert no_network == []


def test_a_hub_that_is_online_cannot_reach_another_machine(hub_online, no_network):
    _ask_the_hub()
    assert no_network


def test_shapes_are_checked_in_every_module_that_states_one(request):
    *checked, _ = request.config.getoption("--jaxtyping-packages").split(",")
    package = Path(lk.__file__).parent
    stating = {
        ".".join(("latentkit", *path.relative_to(package).with_suffix("").parts))
        for path in package.rglob("*.py")
        if "from jaxtyping import" in path.read_text(encoding="utf-8")
    }
    assert len(stating) > 10
    assert [name for name in stating if not any(f"{name}.".startswith(f"{one}.") for one in checked)] == []


def test_a_wrong_shape_is_an_error_anywhere_in_the_package():
    from latentkit.models.huginn import Huginn, HuginnConfig

    sizes = {"n_embd": 8, "n_heads": 2, "intermediate_size": 8, "vocab_size": 8, "block_size": 8}
    config = HuginnConfig(**sizes)
    with pytest.raises(TypeCheckError):
        Huginn(config)(torch.zeros(3, dtype=torch.int64), iterations=1)


def test_only_shapes_are_checked_so_that_other_arguments_reach_the_functions_own_checks():
    @jaxtyped(typechecker=check_shapes)
    def repeat(state: Float[Tensor, "token hidden"], times: int) -> int:
        return times

    assert repeat(torch.zeros(2, 3), "8") == "8"
    with pytest.raises(TypeCheckError):
        repeat(torch.zeros(3), 8)


def test_each_new_combination_of_shapes_is_checked():
    @jaxtyped(typechecker=check_shapes)
    def cut(state: Float[Tensor, "token hidden"], width: int) -> Float[Tensor, "token 3"]:
        return state[:, :width]

    narrow, wide = torch.zeros(2, 3), torch.zeros(2, 4)
    for _ in range(2):
        assert cut(narrow, 3) is not None
    assert cut(wide, 3) is not None
    for state, width in ((narrow, 2), (wide, 4), (wide[0], 3)):
        with pytest.raises(TypeCheckError):
            cut(state, width)

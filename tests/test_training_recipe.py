import dataclasses
import json
import statistics
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latentkit.errors import ArgumentError, ModelError
from latentkit.models.stored.checkpoint import read_module, write_module
from latentkit.training import precision, recipe
from latentkit.training.data import IGNORED, Batch, Mixture, TokenSource
from latentkit.training.precision import has_bfloat16, uses_bfloat16
from latentkit.training.schedule import draw_early_iterations, draw_iterations, mean_recurrence_at, rate_at
from latentkit.training.settings import Settings

STEPS, ROWS, LENGTH = 10, 4, 16
MICRO = Settings(
    size="micro", tokens=STEPS * ROWS * LENGTH, vocab_size=64, context=32, rows=ROWS, length=LENGTH,
    mean_recurrence=4, backprop_depth=2, autocast="no", compile=False,
)  # fmt: skip


def _mixture(seed=0):
    counting = TokenSource((np.arange(4000) % 61).astype(np.uint16))
    return Mixture([(counting, 1.0)], rows=ROWS, length=LENGTH, seed=seed, longest=32)


def _train(folder, settings=MICRO, **options):
    return recipe.train(settings, _mixture(), folder, device="cpu", progress=False, **options)


def _weights(module):
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


def _equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(_weights(a).values(), _weights(b).values(), strict=True))


def test_interrupted_and_resumed_gives_the_weights_of_an_uninterrupted_run(tmp_path):
    whole = _train(tmp_path / "whole")
    for stop in (3, 7):
        part = _train(tmp_path / "parts", stop_at_step=stop)
        assert not _equal(part, whole)
        torch.rand(5)  # whatever happens in between
    assert _equal(_train(tmp_path / "parts"), whole)


def test_an_interrupt_from_the_keyboard_is_one_of_those(tmp_path, monkeypatch):
    whole = _train(tmp_path / "whole")
    learn = recipe.learn

    def interrupted(run, batch):
        if run.step == 5:
            raise KeyboardInterrupt
        return learn(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "learn", interrupted)
        assert not _equal(_train(tmp_path / "parts"), whole)
    assert _equal(_train(tmp_path / "parts"), whole)


def test_another_seed_gives_other_weights(tmp_path):
    one = _train(tmp_path / "1")
    assert not _equal(one, _train(tmp_path / "2", dataclasses.replace(MICRO, seed=1)))


def test_training_lowers_the_loss_and_the_log_tells_of_every_step(tmp_path):
    _train(tmp_path, dataclasses.replace(MICRO, tokens=60 * ROWS * LENGTH))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(1, 61))
    assert log[-1]["tokens"] == 60 * ROWS * LENGTH
    losses = [entry["loss"] for entry in log]
    assert statistics.mean(losses[-10:]) < statistics.mean(losses[:10]) - 1


def test_a_step_never_touches_the_global_generator(tmp_path):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    _train(tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_every_weight_learns_even_with_gradient_through_one_iteration(tmp_path):
    run = recipe.start(dataclasses.replace(MICRO, backprop_depth=1, warmup=0.0), device="cpu")
    before = _weights(run.module)
    recipe.learn(run, _mixture().batch(0))
    still = [name for name, weight in _weights(run.module).items() if torch.equal(weight, before[name])]
    assert still == []


def test_gradients_under_autocast_are_those_without_it_up_to_rounding(monkeypatch):
    """A cast made in the iterations without gradient must not be reused by those with gradient."""
    ids = torch.arange(16).reshape(1, 16)
    found = []

    def keep(parameters, _):
        found.append([weight.grad.clone() for weight in parameters])

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", keep)
    for autocast in ("no", "yes"):
        settings = dataclasses.replace(MICRO, autocast=autocast, shallow_share=0.0, recurrence_ramp=0.0)
        assert len({*draw_iterations(settings, 0, 0.0)}) == 2  # some iterations carry no gradient
        run = recipe.start(settings, device="cpu")
        run.optimizers = []
        recipe.learn(run, Batch(ids, (ids + 1) % 64))
    for exact, rounded in zip(*found, strict=True):
        assert (exact - rounded).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize(
    ("known", "expected"), [({"avx512_bf16": True}, True), ({"avx2": True, "avx512_bf16": False}, False)]
)
def test_bfloat16_is_used_by_itself_only_where_the_processor_has_it(known, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    cpu = torch.device("cpu")
    assert uses_bfloat16(dataclasses.replace(MICRO, autocast="auto"), cpu) is expected
    assert uses_bfloat16(dataclasses.replace(MICRO, autocast="yes"), cpu)
    assert not uses_bfloat16(dataclasses.replace(MICRO, autocast="no"), cpu)


def test_a_device_of_which_nothing_is_known_multiplies_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not has_bfloat16(torch.device("cpu"))
    assert not has_bfloat16(torch.device("meta"))


@pytest.mark.parametrize("uses", [True, False])
def test_a_run_multiplies_in_what_the_machine_has(uses, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: uses)
    run = recipe.start(dataclasses.replace(MICRO, autocast="auto"), device="cpu")
    seen = []
    run.module.lm_head.register_forward_hook(lambda module, given, logits: seen.append(logits.dtype))
    recipe.learn(run, _mixture().batch(0))
    assert seen == [torch.bfloat16 if uses else torch.float32]


def test_every_row_with_labels_counts_the_same_in_the_loss():
    module = recipe.start(MICRO, device="cpu").module
    latent = torch.randn(3, LENGTH, module.config.n_embd, generator=torch.Generator().manual_seed(0))
    labels = torch.full((3, LENGTH), IGNORED)
    labels[0] = 5  # prose has a label at each position, problems have few
    labels[1, 7] = 9
    logits = module.lm_head(latent).float()
    rows = [F.cross_entropy(logits[i], labels[i], ignore_index=IGNORED) for i in (0, 1)]
    found = recipe.loss_of(module, latent, labels)
    torch.testing.assert_close(found, (rows[0] + rows[1]) / 2)


def test_an_early_readout_adds_its_weighted_gradient_from_a_quarter_of_the_rows(monkeypatch):
    batch, found = _mixture().batch(0), []

    def keep(parameters, _):
        found.append([weight.grad.clone() for weight in parameters])

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", keep)
    for weight in (0.0, 0.5):
        settings = dataclasses.replace(MICRO, early_readout=weight)
        run = recipe.start(settings, device="cpu")
        run.optimizers = []
        recipe.learn(run, batch)
    run = recipe.start(MICRO, device="cpu")
    early = draw_early_iterations(MICRO, 0, draw_iterations(MICRO, 0, 0.0)[0])
    state = recipe.initial_state(MICRO, 0, tuple(batch.token_ids.shape))[:1]
    loss, _ = run.module(
        batch.token_ids[:1],
        iterations=early,
        grad_iterations=early,
        initial_state=state,
        labels=batch.labels[:1],
    )
    loss.backward()
    for plain, both, weight in zip(*found, run.module.parameters(), strict=True):
        torch.testing.assert_close(both - plain, 0.5 * weight.grad, rtol=1e-3, atol=1e-6)


def test_early_readouts_stand_after_one_to_four_iterations_and_never_after_the_last():
    drawn = {(r, draw_early_iterations(MICRO, step, r)) for step in range(200) for r in (1, 2, 9)}
    assert drawn == {(1, 1), (2, 1), (2, 2), (9, 1), (9, 2), (9, 3), (9, 4)}


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    _train(tmp_path, stop_at_step=1)
    with pytest.raises(ModelError) as error:
        _train(tmp_path, dataclasses.replace(MICRO, seed=5, matrix_rate=0.5))
    assert str(error.value) == (
        f"The checkpoint '{tmp_path / 'checkpoint.pt'}' was made with other settings: seed = 0 instead of 5, "
        "matrix_rate = 0.02 instead of 0.5. Pass the same ones, or another folder to start anew."
    )


def test_a_checkpoint_from_before_a_setting_existed_goes_on_with_its_default(tmp_path):
    _train(tmp_path / "whole")
    _train(tmp_path, stop_at_step=4)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del content["settings"]["loop"], content["settings"]["early_readout"]
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match=r"early_readout = 0\.0 instead of 0\.5"):
        _train(tmp_path, dataclasses.replace(MICRO, early_readout=0.5))
    assert _equal(_train(tmp_path), _train(tmp_path / "whole"))


def test_a_run_can_be_made_longer(tmp_path):
    _train(tmp_path)
    _train(tmp_path, dataclasses.replace(MICRO, tokens=MICRO.tokens + ROWS * LENGTH))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == STEPS + 1


def test_the_state_before_the_decay_is_kept(tmp_path):
    _train(tmp_path)
    kept = torch.load(tmp_path / "stable.pt", weights_only=True)
    assert kept["tokens"] / MICRO.tokens == pytest.approx(1 - MICRO.decay, abs=1.1 / STEPS)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    _train(tmp_path, stop_at_step=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def half_a_save(content, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half_a_save)
    with pytest.raises(OSError, match="disk full"):
        _train(tmp_path, stop_at_step=4)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_run_starts_from_the_weights_of_a_folder_with_a_fresh_optimiser(tmp_path):
    trained = _train(tmp_path / "run")
    write_module(trained, tmp_path / "model")
    run = recipe.start(MICRO, init=tmp_path / "model", device="cpu")
    assert _equal(run.module, trained)
    assert run.step == 0
    assert not any(optimizer.state for optimizer in run.optimizers)


def test_weights_of_another_architecture_are_refused(tmp_path):
    write_module(recipe.start(MICRO, device="cpu").module, tmp_path)
    with pytest.raises(ModelError) as error:
        recipe.start(dataclasses.replace(MICRO, injection="linear"), init=tmp_path, device="cpu")
    assert str(error.value) == (
        f"Cannot start from the weights in '{tmp_path}': they have injection_type = add instead of linear. "
        "Pass the settings that they were trained with."
    )


def test_the_untrained_model_hears_the_injection_as_loudly_as_asked():
    run = recipe.start(dataclasses.replace(MICRO, injection_scale=0.5), device="cpu")
    assert (run.module.transformer.prelude[-1].norm_4.weight == 0.5).all()
    assert (run.module.transformer.core_block[-1].norm_4.weight == 1).all()


def test_an_injection_that_is_held_stays_as_loud_as_asked(tmp_path):
    settings = dataclasses.replace(MICRO, injection_scale=0.35, hold_injection=True)
    held, free = (
        _train(tmp_path / str(hold), dataclasses.replace(settings, hold_injection=hold))
        for hold in (True, False)
    )
    assert (held.transformer.prelude[-1].norm_4.weight == 0.35).all()
    assert (free.transformer.prelude[-1].norm_4.weight != 0.35).any()


def test_exported_weights_carry_the_released_names_and_compute_the_same(tmp_path):
    module = _train(tmp_path)
    write_module(module, tmp_path / "model")
    from safetensors import safe_open

    with safe_open(tmp_path / "model/model.safetensors", framework="pt") as file:
        names = set(file.keys())
    some = {"wte.weight", "core_block.0.attn.Wqkv.weight", "coda.0.norm_4.weight", "ln_f.weight"}
    assert {f"transformer.{name}" for name in some} <= names
    assert "lm_head.weight" not in names  # tied
    ids = torch.arange(8)[None]
    state = torch.zeros(1, 8, 32)
    again = read_module(tmp_path / "model", torch.float32, "cpu")
    both = [m(ids, iterations=3, initial_state=state).logits for m in (module, again)]
    assert torch.equal(*both)


def test_iterations_follow_the_published_distribution():
    settings = Settings(tokens=1, mean_recurrence=32, shallow_share=0.0)
    draws = [draw_iterations(settings, step, 1.0)[0] for step in range(20_000)]
    assert statistics.mean(draws) == pytest.approx(33, rel=0.02)
    assert statistics.stdev(draws) == pytest.approx(18.0, rel=0.05)
    assert statistics.median(draws) == pytest.approx(29, abs=1)
    assert np.percentile(draws, (5, 95)) == pytest.approx((12, 67), abs=2)


def test_gradient_goes_through_the_last_eight_at_most_and_never_through_more_than_there_are():
    for step in range(300):
        iterations, with_gradient = draw_iterations(Settings(tokens=1), step, 1.0)
        assert with_gradient == min(iterations, 8)
        assert iterations >= 1


def test_the_mean_grows_from_a_third_to_its_full_value():
    settings = Settings(tokens=1, mean_recurrence=12, recurrence_ramp=0.4)
    assert [mean_recurrence_at(settings, p) for p in (0, 0.2, 0.4, 1)] == [4, 8, 12, 12]


def test_shallow_steps_run_one_to_four_iterations():
    settings = Settings(tokens=1, shallow_share=1.0)
    assert {draw_iterations(settings, step, 1.0)[0] for step in range(100)} == {1, 2, 3, 4}


def test_the_rate_sinks_to_nothing_at_the_end():
    assert rate_at(Settings(tokens=1), 1.0) == 0.0


def test_without_the_loop_each_pass_has_a_block_of_its_own_and_runs_once(tmp_path):
    settings = dataclasses.replace(MICRO, loop=False, mean_recurrence=5)
    assert {draw_iterations(settings, step, 1.0) for step in range(50)} == {(1, 1)}
    trained = _train(tmp_path / "run", settings)
    assert len(trained.transformer.core_block) == 5
    assert trained.config.mean_recurrence == 1
    start = recipe.start(settings, device="cpu").module
    learnt = [
        not torch.equal(one.mlp.fc.weight, other.mlp.fc.weight)
        for one, other in zip(trained.transformer.core_block, start.transformer.core_block, strict=True)
    ]
    assert learnt == [True] * 5


def test_wrong_settings_are_named():
    with pytest.raises(ArgumentError) as error:
        Settings(size="nanno", tokens=1)
    assert str(error.value) == (
        "No size named 'nanno'. Did you mean 'nano'? Known: 'medium', 'micro', 'nano', 'small'."
    )
    with pytest.raises(ArgumentError) as error:
        Settings(tokens=1, autocast="on")
    assert str(error.value) == "No autocast 'on'. Did you mean 'no'? Known: 'auto', 'no', 'yes'."
    with pytest.raises(ArgumentError) as error:
        Settings()
    assert str(error.value) == "Training has no end. Pass tokens or minutes above 0."


# As if the packages named were not installed.
BARE = """
import sys
from importlib.machinery import PathFinder
_absent, _find = frozenset(%r), PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in _absent else _find(name, *rest)
"""
ALLOWED = ("torch", "numpy", "tokenizers", "safetensors", "tqdm", "jaxtyping", "lazy_loader", "latentkit")
# what torch, tokenizers and tqdm themselves need or look for
NEEDED = ("sympy", "mpmath", "networkx", "jinja2", "markupsafe", "filelock", "fsspec", "typing_extensions",
          "setuptools", "pkg_resources", "torchgen", "functorch", "wadler_lindig", "huggingface_hub",
          "packaging", "yaml", "httpx", "requests", "_distutils_hack")  # fmt: skip


@pytest.mark.slow
def test_training_runs_where_nothing_but_its_few_packages_is_installed(tmp_path):
    from importlib.metadata import packages_distributions

    blocked = sorted(set(packages_distributions()) - {*ALLOWED, *NEEDED})
    assert {"transformers", "xarray", "matplotlib", "pandas"} <= set(blocked)
    text = tmp_path / "text.txt"
    text.write_text("The raven flew over nine worlds and came home.\n\n" * 400)
    out = str(tmp_path / "run")
    snippet = BARE % (blocked,) + (
        "from latentkit.training import cli\n"
        f"sys.exit(cli.main(['--data', {str(text)!r}, '--out', {out!r}, '--size', 'micro', '--tokens', '256',"
        " '--threads', '1', '--device', 'cpu',"
        " '--set', 'rows=2', 'length=64', 'compile=no', 'mean_recurrence=2']))\n"
    )
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "run/model").iterdir()) == [
        "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from latentkit.errors import ArgumentError
from latentkit.models import load_model
from latentkit.training import cli
from latentkit.training.data import TaskSource
from latentkit.training.settings import Settings

SMALL = ["--size", "micro", "--device", "cpu", "--tokens", "512"]
SMALL += ["--set", "rows=2", "length=64", "compile=no"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    words = [f"raven {i} flew over nine worlds{' and' * (i % 5)} home; " for i in range(4000)]
    path.write_text("".join(words))
    return path


def _run(text, out, *further):
    return cli.main(["--data", str(text), "--out", str(out), *SMALL, *further])


def test_what_the_command_writes_is_a_model_that_load_model_reads(text, tmp_path, capsys):
    assert _run(text, tmp_path / "run") == 0
    model = load_model(tmp_path / "run/model")
    assert (model.hidden_size, model.vocab_size, model.context_length) == (32, 4736, 1024)
    assert model.dtype == torch.bfloat16
    assert model.tokenizer.decode(model.tokenizer.encode("the raven")) == "<|begin_text|>the raven"
    assert capsys.readouterr().out == (
        f"Wrote {tmp_path / 'run/model'}. Look at it with load_model('{tmp_path / 'run/model'}').\n"
    )


def test_a_second_run_can_start_from_the_first_one(text, tmp_path):
    _run(text, tmp_path / "one")
    _run(
        text,
        tmp_path / "two",
        "--init",
        str(tmp_path / "one/model"),
        "--set",
        "matrix_rate=0",
        "other_rate=0",
    )
    one, two = (load_model(tmp_path / name / "model").module.state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_source_without_a_share_gets_the_rest_in_proportion_to_its_length(text, tmp_path):
    from latentkit.training.tokenizer import load_tokenizer

    twice = tmp_path / "twice.txt"
    twice.write_text(text.read_text() * 2)
    shares = {str(text): 0.0, str(twice): 0.0}
    tokenizer = load_tokenizer(cli.NANO)
    problems = TaskSource(tokenizer)
    sources = cli._sources(shares, 0.25, problems, tokenizer, tmp_path, share_alike=False)
    assert [share for _, share in sources] == pytest.approx([0.25, 0.5, 0.25], abs=1e-3)


def test_problems_can_begin_easy_and_be_of_chosen_kinds(text, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "TaskSource", lambda *given: seen.append(given) or TaskSource(*given))
    _run(text, tmp_path / "run", "--kinds", "sums,sums,path", "--harder-every", "50")
    assert [given[1:] for given in seen] == [(("sums", "sums", "path"), 100)]  # two rows a step


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--set", "rowz=2"], "No setting named 'rowz'. Did you mean 'rows'? Known: "),
        (["--set", "rows=two"], "'two' is not a valid value for rows, which is of type int."),
        (["--kinds", "sums,hops"], "No kind of problem named 'hops'. "),
        (
            ["--tasks", "1"],
            "The shares, 1 of problems among them, sum to 1 and leave nothing for sources without one. "
            "Pass smaller ones.",
        ),
    ],
)
def test_a_wrong_option_is_named(text, tmp_path, further, message):
    with pytest.raises(ArgumentError) as error:
        _run(text, tmp_path / "run", *further)
    assert str(error.value).startswith(message)


def test_a_share_that_is_no_number_is_named(tmp_path):
    with pytest.raises(ArgumentError) as error:
        cli.main(["--data", "books.txt=half", "--out", str(tmp_path), *SMALL])
    assert str(error.value) == (
        "'half' in 'books.txt=half' is not a number. Pass SOURCE or SOURCE=SHARE, such as books.txt=0.5."
    )


def _trained(texts):
    from latentkit.training.tokenizer import train_tokenizer

    return train_tokenizer(texts, vocab_size=300)


def test_a_new_tokenizer_is_kept_for_the_run_that_goes_on(text, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "train_tokenizer", _trained)
    first = cli._tokenizer("new", [str(text)], tmp_path)
    monkeypatch.setattr(cli, "train_tokenizer", None)
    assert cli._tokenizer("new", [str(text)], tmp_path).to_str() == first.to_str()


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("target", ["nano", "nano-control"])
def test_each_stage_of_the_recipe_is_a_run_that_follows_the_one_before(target):
    root = Path(cli.__file__).parents[2]
    command = ["make", "--dry-run", "--old-file=.venv/.test", target, "CORPUS=corpus"]
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "ARGS"))}
    done = subprocess.run(command, cwd=root, env=plain, capture_output=True, text=True, check=True)
    runs = [
        cli._parser().parse_args(shlex.split(line.partition(" train ")[2]))
        for line in done.stdout.replace("\\\n", "").splitlines()
        if "latentkit.cli train" in line
    ]
    before = [None, *(f"{run.out}/model" for run in runs[:-1])]
    assert [run.init for run in runs] == before
    assert [run.tokenizer for run in runs] == ["new", *[f"{runs[0].out}/tokenizer"] * 4]
    assert 24e6 <= sum(run.tokens for run in runs) <= 28e6
    for run in runs:
        shares = [share for _, share in map(cli._share, run.data)]
        assert sum(shares) + run.tasks == pytest.approx(1)
        assert cli._kinds(run.kinds)
    settings = [Settings(tokens=run.tokens, **cli._further(run.set)) for run in runs]
    assert {each.loop for each in settings} == {target == "nano"}
    assert [each.hold_injection for each in settings] == [False, *[target == "nano"] * 4]
    one_shape = {(each.config.n_layers_in_recurrent_block, each.injection) for each in settings}
    assert one_shape == {(1 if target == "nano" else 8, "add")}
    assert [each.decay for each in settings] == [0, 0, 0, 0.6, 0.4]

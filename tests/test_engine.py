"""nano in JavaScript has Python's token ids, states and logits."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoTokenizer
from wasmtime import wat2wasm

import latentkit as lk
from latentkit.errors import ModelError
from latentkit.explorer import packing
from latentkit.explorer.packing import pack_model
from latentkit.models.config import HuginnConfig
from latentkit.run.prompting import encode
from latentkit.training.cli import NANO
from latentkit.training.tokenizer import load_tokenizer, save_tokenizer, with_words

DRIVER = Path(__file__).parent / "javascript" / "engine_driver.js"
KEPT = (0, 1, 2, 4, 16, 64)
TOLERANCE = 1e-4
POOLS = (
    "abcdefghijklmnopqrstuvwxyz '",
    "0123456789.,:;!?-()[]{}<>|/\\\"'",
    " \t\n\r\u00a0\u2003\u3000\x85\x1c\u2028\ufeff\u200b",
    "äöüßéñſ\u212a世界你好日本語한국어العربيةअआइ๑٣Ⅷ½",
    "🙂🎉👩‍👩‍👧🏳️‍🌈\u0301\u0308\u200d\0\x7f",
)
WORDS = (
    "the ",
    "The capital of France is ",
    " Paris",
    "Paris",
    "euro",
    " can't",
    "we'LL",
    "\n\n",
    "<|end_turn|>",
    "3.14",
    "<|begin_text|>",
)


def texts(count: int) -> list[str]:
    """Texts of all kinds of Unicode, from a fixed seed."""
    rng = random.Random(0)

    def piece() -> str:
        if rng.random() < 0.4:
            return rng.choice(WORDS)
        if rng.random() < 0.15:
            return "".join(
                chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))) for _ in "123"
            )
        return "".join(rng.choices(rng.choice(POOLS), k=rng.randint(1, 9)))

    return ["x" + "".join(piece() for _ in range(rng.randint(1, 8))) for _ in range(count)]


def coded(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.float().contiguous().numpy().tobytes()).decode()


def traced(model, prompt, seed, kept=KEPT):
    """What Python makes of a prompt, as the driver takes it."""
    ids = encode(model.tokenizer, prompt)
    context = model.embed(torch.tensor([ids]))
    state = model.initial_state(context, seed)
    states = {0: coded(state[0])}
    for i in range(1, max(kept) + 1):
        state = model.step(state, context)
        if i in kept:
            states[i] = coded(state[0])
    logits = model.readout(state, context)[0]
    given = {"prompt": prompt} if isinstance(prompt, str) else {"messages": prompt}
    found = {"ids": ids, "seed": seed, "states": states, "latent": coded(model.normalise(state)[0])}
    return {**given, **found, "logits": coded(logits), "top": logits.argmax(-1).tolist()}


@pytest.fixture(scope="module")
def model():
    return lk.load_model("nano")


@pytest.fixture(scope="module")
def block(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("engine") / "nano.block"
    path.write_bytes(pack_model(model))
    return path


@pytest.fixture(scope="module")
def asked(model):
    chat = [
        {"role": "system", "content": " Be brief.\n"},
        {"role": "user", "content": "Hi<|end_turn|> there"},
    ]
    begun = [*chat, {"role": "assistant", "content": "Well, "}]
    prompts = ["The capital of France is", "Grüße, 世界 🙂!", chat, begun, *texts(4)]
    return [
        traced(model, prompt, seed)
        for prompt, seed in zip(prompts, (0, 7, 2**40, 1, 2, 3, None, 5), strict=True)
    ]


@pytest.fixture(scope="module")
def short(model):
    """A short text after few iterations, for what is slow or often run."""
    return [traced(model, "Grüße, 世界 🙂!", 7, kept=(0, 1, 2, 4))]


def run(block, asked, kind="wasm", folder=packing.FOLDER):
    node = shutil.which("node")
    assert node, "Node.js 18 or newer is needed for these tests."
    command = [node, str(DRIVER), str(folder), str(block), kind]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def farthest(results):
    return max(max(each["logits"], each["latent"], *each["states"].values()) for each in results)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_texts_of_all_kinds_have_the_ids_of_python(model, block, count):
    given = texts(count)
    results = run(block, [{"prompt": text} for text in given])
    differing = [
        t for t, found in zip(given, results, strict=True) if found["ids"] != encode(model.tokenizer, t)
    ]
    assert differing == []


def test_a_word_that_is_a_token_is_found_as_a_whole(model, tmp_path):
    longer = with_words(load_tokenizer(NANO), [" Lutetia", "Lutetia", " pieces of eight"], most=4800)
    save_tokenizer(longer, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    block = tmp_path / "block"
    other = SimpleNamespace(name="other", config=model.config, module=model.module, tokenizer=tokenizer)
    block.write_bytes(pack_model(other))
    given = ["x Lutetia", "Lutetia Lutetian", "1 pieces of eight<|end_turn|>", *texts(50)]
    found = [result["ids"] for result in run(block, [{"prompt": text} for text in given])]
    assert found == [encode(tokenizer, text) for text in given]
    assert found[0][-1] == model.vocab_size


@pytest.mark.slow
def test_states_and_logits_are_those_of_python(block, asked):
    results = run(block, asked)
    assert [found["ids"] for found in results] == [each["ids"] for each in asked]
    assert farthest(results) < TOLERANCE
    assert [found["top"] for found in results] == [each["top"] for each in asked]


def test_plain_javascript_has_the_same_numbers(block, short):
    results = run(block, short, kind="plain")
    assert farthest(results) < TOLERANCE
    assert [found["top"] for found in results] == [each["top"] for each in short]


@pytest.mark.parametrize(
    "fault",
    [
        ("model.js", "x[i] = narrow[i] + x[i];\n    this.norm(x, x, `${prefix}.norm_2.weight`);",
         "x[i] = narrow[i];\n    this.norm(x, x, `${prefix}.norm_2.weight`);"),
        ("model.js", "norm(x, x, `${prefix}.norm_4.weight`)", "norm(x, x, `${prefix}.norm_2.weight`)"),
        ("model.js", "state[i] + embedding[i]", "embedding[i]"),
        ("rotary.js", "odd * cos[angle] + even", "odd * cos[angle] - even"),
        ("weights.js", "planes[all + place + i] << 16", "planes[all + place + i] << 15"),
        ("random.js", "1 - block[i]", "block[i]"),
        ("random.js", "0x4973f715", "0x4973f717"),
    ],
)  # fmt: skip
def test_a_fault_in_a_copy_of_the_engine_is_seen(block, short, tmp_path, fault):
    file, right, wrong = fault
    copy = Path(shutil.copytree(packing.FOLDER, tmp_path / "engine"))
    (copy / "package.json").write_text('{"type": "module"}')
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong, 1))
    assert farthest(run(block, short, folder=copy)) > TOLERANCE


def test_a_block_that_is_cut_says_so(block, asked, tmp_path):
    cut = tmp_path / "cut.block"
    cut.write_bytes(block.read_bytes()[: block.stat().st_size // 2])
    with pytest.raises(AssertionError, match="damaged or cut off"):
        run(cut, asked[:1])


def test_the_kernel_is_what_its_text_assembles_to():
    text = (packing.FOLDER / "product.wat").read_text(encoding="utf-8")
    assert bytes(wat2wasm(text)) == packing.KERNEL.read_bytes()


def test_a_model_that_the_engine_cannot_run_is_refused():
    with pytest.raises(ModelError, match="cannot run in a page"):
        pack_model(object())


def test_sizes_that_the_engine_cannot_divide_are_named():
    config = HuginnConfig(n_embd=32, n_heads=16, intermediate_size=64, vocab_size=100)
    with pytest.raises(ModelError, match="here vocab_size = 100, head_dim = 2"):
        pack_model(SimpleNamespace(config=config, tokenizer=object()))

"""The explorer's JavaScript in Node: its own tests, and what it repeats of Python's formulas."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_trace_explorer import unpacked, wander

import latentkit as lk
from latentkit import criteria, measure
from latentkit.explorer import page
from latentkit.explorer.bundle import bundle, compact
from latentkit.explorer.data import pack
from latentkit.measure.settling import RELATIVE
from latentkit.view.kinds import grid_of

STATIC = Path(lk.__file__).parent / "explorer" / "static"
TESTS = sorted((Path(__file__).parent / "javascript").glob("*.test.js"))


def node(*arguments: str, given: str = "") -> str:
    """Run Node; without it the tests of JavaScript fail, because nothing else runs them."""
    found = shutil.which("node")
    if found is None:
        pytest.fail("Node.js 18 or newer is needed for these tests: `apt-get install nodejs`, or nodejs.org.")
    done = subprocess.run([found, *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_node(module: str, body: str, asked: object) -> list:
    """Evaluate the body of an async function of `asked` and the names that a module of static/ exports.

    NaN is null on the way.
    """
    source = f"""
import * as all from {json.dumps((STATIC / module).as_uri())};
let text = "";
for await (const part of process.stdin) text += part;
const asked = JSON.parse(text);
{body}
"""
    return json.loads(node("--input-type=module", "--eval", source, given=json.dumps(asked)))


def test_words_and_numbers_in_node():
    assert len(TESTS) >= 3
    node("--test", *map(str, TESTS))


SETTLED = """console.log(JSON.stringify(asked.rows.map((row, i) =>
  all.settledColumn(Float32Array.from(row), asked.below[i], asked.limit))));"""
EXITS = """console.log(JSON.stringify(asked.rows.map((row) =>
  all.exitColumn(Float32Array.from(row, (value) => value ?? NaN), asked.rule, asked.threshold))));"""


@pytest.mark.parametrize("limit", [None, 40])
def test_settling_in_the_browser_is_that_of_measure(limit):
    trace = wander(80, 40)
    data = trace if limit is None else trace.assign_attrs(limit=limit)
    reached = float(trace.distance[0, -1])  # the last distance of a token: not below itself
    for threshold in (None, 0.05, 1.0, reached):
        expected = measure.settling_iteration(data, threshold=threshold).values
        first = data.distance.values[:, :1].astype(float)
        below = 0.01 * first if threshold is None else np.full_like(first, threshold)
        asked = {"rows": data.distance.values.tolist(), "below": below.ravel().tolist(), "limit": limit}
        found = [np.nan if one is None else one for one in in_node("trace/stops.js", SETTLED, asked)]
        np.testing.assert_array_equal(np.array(found), expected)
        assert threshold == reached or np.isfinite(expected).sum() > 10


@pytest.mark.parametrize(
    ("name", "threshold"),
    [("entropy-diff", 0.5), ("argmax-stability", 3), ("acceleration", 0.7)],
)
def test_exits_in_the_browser_are_those_of_measure(name, threshold):
    trace = wander(80, 40)
    if name == "acceleration":  # below the threshold twice in a row; only decodings record its numbers
        values = trace.distance.values[..., None].copy()
        values[::5, 3:5] = threshold  # in the precision of the values it is not below itself
        trace = trace.rename(token="generated_token").assign_coords(criterion=[name])
        trace["exit_value"] = (("generated_token", "iteration", "criterion"), values)
    for given in (None, threshold):
        rule = criteria.exit_rule(name)
        table = grid_of(trace).exit_values(trace)[name] if "token" in trace.dims else values[..., 0]
        asked = {
            "rows": [[None if np.isnan(one) else float(one) for one in row] for row in table],
            "rule": {"counts": rule.counts, "hits": rule.hits},
            "threshold": rule.threshold if given is None else given,
        }
        exits = in_node("trace/stops.js", EXITS, asked)
        expected = measure.exit_iteration(trace, name, given).exit_iteration.values.tolist()
        assert [40 if one is None else one for one in exits] == expected
        assert len(set(expected)) > 2


READ = """const data = await all.unpack(Uint8Array.from(asked));
const [panel] = data.panels;
const numbers = (values) => [...values].map((value) => (Number.isNaN(value) ? null : value));
console.log(JSON.stringify([numbers(panel.variables.distance), numbers(panel.variables.kl),
  numbers(panel.readout.place), panel.readout.texts, numbers(data.maps.cividis)]));"""


def test_a_block_is_read_as_it_was_packed():
    trace = wander()
    trace["kl"][0, 0] = np.nan
    block = pack([trace], ["name"])
    header, arrays = unpacked(block)
    panel = header["panels"][0]
    distance, kl, place, texts, colours = in_node("trace/data.js", READ, list(block))
    np.testing.assert_array_equal(np.array(distance, np.float32), trace.distance.values.ravel())
    np.testing.assert_array_equal(np.array(kl, float), arrays[panel["variables"]["kl"]].astype(float))
    assert (place, texts) == (arrays[panel["readout"]["place"]].tolist(), panel["readout"]["texts"])
    assert colours == arrays[header["maps"]["cividis"]].tolist()


# One module of all


def test_the_bundle_is_a_module_without_imports_and_with_one_export(tmp_path):
    path = tmp_path / "bundle.mjs"
    for source in (page.module(), compact(page.module())):
        path.write_text(source, encoding="utf-8")
        node("--check", str(path))  # a name that two modules define is a syntax error
        printed = node("--input-type=module", "--eval", f"console.log(Object.keys(await import('{path}')))")
        assert printed.strip() == "[ 'default' ]"
        assert "import " not in source.replace("@import ", "")


def test_each_module_is_in_the_bundle_once_after_what_it_imports(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.js").write_text('import { b, c } from "./sub/b.js";\nexport default b + c;\n')
    (tmp_path / "sub" / "b.js").write_text(
        'import { d } from "../d.js";\nexport const b = d;\nexport const c = 1;\n'
    )
    (tmp_path / "d.js").write_text("export const d = 2;\n")
    assert bundle(tmp_path / "a.js").split("\n") == [
        "const d = 2;", "", "const b = d;", "const c = 1;", "", "export default b + c;", "",
    ]  # fmt: skip


def test_the_default_threshold_of_settling_is_that_of_the_measure():
    assert in_node("trace/view.js", "console.log(JSON.stringify([all.DEFAULT_SHARE]));", None) == [RELATIVE]


def test_no_import_is_renamed_and_every_module_is_in_the_bundle():
    others = {path for folder in ("engine", "live") for path in (STATIC / folder).iterdir()}  # the live page
    for path in set(STATIC.rglob("*.js")) - others:
        source = path.read_text(encoding="utf-8")
        assert [
            names for names in re.findall(r"^import \{([^}]*)\}", source, re.MULTILINE) if " as " in names
        ] == []
        defined = re.findall(r"^export ((?:async )?(?:function|class|const) \w+)", source, re.MULTILINE)
        assert defined or path.name == "widget.js"
        assert [one for one in defined if f"\n{one}" not in f"\n{page.module()}"] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("const a = 1;  // why\nreturn a - -b + c;\n", "const a=1;return a - -b+c;"),
        ('f("a  //  b", `c ${ d } /* e */`, \'"\');', 'f("a  //  b",`c ${ d } /* e */`,\'"\');'),
        ('/** It\'s "so". */\nif (a) {\n  b();\n}\n', "if(a){b()}"),
        ("b = a.c + 0.5 - 10.5;\n", "b=a.c+.5-10.5;"),
    ],
)
def test_only_comments_and_needless_spaces_are_removed(source, expected):
    assert compact(source) == expected

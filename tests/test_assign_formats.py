"""What the notebooks and tests hold is what nbgrader and otter read, by their own functions."""

from __future__ import annotations

import json
import zipfile

import pytest
from assign_for_tests import NAME, RIGHT, WRONG, filled, handed_out, make_course, marks

from latentkit.assign import marking
from latentkit.assign.course import Grading
from latentkit.assign.graders.running import new_names, run_cell

nbgrader_utils = pytest.importorskip("nbgrader.utils")


def notebook(content):
    import nbformat

    return nbformat.reads(json.dumps(content), as_version=4)


def test_checksums_are_nbgraders_own(tmp_path):
    course, _ = make_course(tmp_path, graders=("nbgrader",))
    cells = [
        cell
        for cell in notebook(handed_out(course, "ada")).cells
        if "checksum" in cell.metadata.get("nbgrader", {})
    ]
    assert len(cells) > 8
    for cell in cells:
        assert nbgrader_utils.compute_checksum(cell) == cell.metadata.nbgrader.checksum


def test_metadata_is_nbgraders_schema(tmp_path):
    from nbgrader.nbgraderformat import MetadataValidator

    course, _ = make_course(tmp_path, graders=("nbgrader",))
    source = json.loads(course.path("source", NAME, f"{NAME}.ipynb").read_text())
    for content in (handed_out(course, "ada"), source):
        found = notebook(content)
        MetadataValidator().validate_nb(found)
        assert [cell.metadata.nbgrader.points for cell in found.cells if nbgrader_utils.is_grade(cell)] == [
            2, 1, 1, 1, 1, 1, 2
        ]  # fmt: skip


def test_nbgrader_gives_an_untouched_written_answer_nothing_and_leaves_a_changed_one_to_the_teacher(tmp_path):
    course, _ = make_course(tmp_path, graders=("nbgrader",))
    cell = next(cell for cell in notebook(handed_out(course, "ada")).cells if cell.id == "99-why-answer")
    assert nbgrader_utils.determine_grade(cell) == (0, 2)
    cell.source += " Because."
    assert nbgrader_utils.determine_grade(cell) == (None, 2)


def test_nbgrader_removes_solutions_and_hidden_tests_from_the_source(tmp_path):
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    course, _ = make_course(tmp_path, graders=("nbgrader",))
    source = notebook(json.loads(course.path("source", NAME, f"{NAME}.ipynb").read_text()))
    resources = {"language": "python"}
    for preprocessor in (ClearSolutions(), ClearHiddenTests()):
        source, resources = preprocessor.preprocess(source, resources)
    text = "\n".join(cell.source for cell in source.cells)
    assert "assign.check_form(total" in text
    for hidden in ("assign.grade", "math.sqrt", "HIDDEN", "SOLUTION", "associative"):
        assert hidden not in text


@pytest.mark.parametrize("answers", [RIGHT, WRONG, {}], ids=["right", "wrong", "empty"])
def test_otters_test_files_give_the_marks_of_the_kit(tmp_path, monkeypatch, answers):
    exception_test = pytest.importorskip("otter.test_files.exception_test")
    course, made = make_course(tmp_path / "course", graders=("otter",))
    whole = filled(handed_out(course, "ada"), answers, "def helper(x):\n    return math.sqrt(x)")
    with zipfile.ZipFile(course.path("otter", NAME, "autograder.zip")) as archive:
        archive.extractall(tmp_path)
    monkeypatch.setattr(marking, "_place", Grading(course, NAME, "ada"))
    monkeypatch.setattr(marking, "_begun", True)
    monkeypatch.setattr("latentkit.assign.quiet.quiet_widgets", lambda: None)  # other tests draw widgets
    names = new_names()
    for cell in whole["cells"]:
        if cell["cell_type"] == "code":
            run_cell("".join(cell["source"]), names)
    for (question, part), points in marks(course, made, "ada", whole).items():
        file = tmp_path / "tests" / f"{question}-{part.replace(' ', '-')}.py"
        test = exception_test.ExceptionTestFile.from_file(str(file))
        test.run(names)
        assert test.score == points, (question, part)

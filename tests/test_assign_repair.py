"""Repair of what students do to notebooks: marks as without the damage, or a line in the teacher's list."""

from __future__ import annotations

import csv
import json

import pytest
from assign_for_tests import (
    HELPER,
    MUTATIONS,
    NAME,
    RIGHT,
    WRONG,
    code,
    filled,
    hand_in,
    handed_out,
    is_answer,
    make_course,
    mangled,
    marks,
    repaired,
    text,
)

from latentkit.assign.course import Course
from latentkit.assign.question import shipped_questions
from latentkit.assign.repair.repairing import repair_course, repair_notebook
from latentkit.errors import FileError

FULL = {"99-sum": 2, "99-root": 3, "99-pair": 2}


@pytest.fixture
def made(tmp_path):
    return make_course(tmp_path / "course")


def repair_one(course, made, notebook, student="ada"):
    path = hand_in(course, student, notebook)
    result, entry = repair_notebook(path, assignment=made, secret=course.secret, student=student)
    return result, entry


def by_question(found):
    sums = {}
    for (question, _), points in found.items():
        sums[question] = sums.get(question, 0) + points
    return sums


def test_a_notebook_that_was_only_filled_in_comes_out_cell_by_cell_the_same(made):
    course, assignment = made
    notebook = filled(handed_out(course, "ada"), RIGHT)
    result, entry = repair_one(course, assignment, notebook)
    assert entry.status == "unchanged"
    assert [text(cell) for cell in result["cells"]] == [text(cell) for cell in notebook["cells"]]
    assert by_question(marks(course, assignment, "ada", result)) == FULL


@pytest.mark.slow
@pytest.mark.parametrize("answers", [RIGHT, WRONG, {}], ids=["right", "wrong", "empty"])
def test_200_mangled_notebooks_get_the_marks_of_the_whole_one_or_are_listed(made, answers):
    check_mangled(made, answers, range(200))


@pytest.mark.parametrize("answers", [RIGHT, WRONG, {}], ids=["right", "wrong", "empty"])
def test_mangled_notebooks_get_the_marks_of_the_whole_one_or_are_listed(made, answers):
    check_mangled(made, answers, range(200, 230))


def check_mangled(made, answers, seeds):
    course, assignment = made
    whole = filled(handed_out(course, "ada"), answers, HELPER if answers else "")
    expected = marks(course, assignment, "ada", repair_one(course, assignment, whole)[0])
    listed, wrong = [], []
    for seed in seeds:
        notebook, names = mangled(whole, seed)
        result, entry = repair_one(course, assignment, notebook)
        if entry.status == "look":
            listed.append((seed, names, entry.notes))
        elif marks(course, assignment, "ada", result) != expected:
            wrong.append((seed, names, entry.notes))
    assert not wrong
    assert len(listed) <= 0.1 * len(seeds), listed


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_code_of_the_student_is_never_changed(made, mutation):
    course, assignment = made
    import random

    notebook = filled(handed_out(course, "ada"), RIGHT)
    mutation(notebook["cells"], random.Random(1))
    result, _ = repair_one(course, assignment, notebook)
    everything = "\n".join(text(cell) for cell in result["cells"])
    for line in "\n".join([*RIGHT.values(), HELPER]).splitlines():
        assert line in everything


def test_two_different_answers_are_listed_and_none_is_taken(made):
    course, assignment = made
    notebook = filled(handed_out(course, "ada"), RIGHT)
    notebook["cells"].append(code("total = 3"))
    result, entry = repair_one(course, assignment, notebook)
    assert entry.status == "look"
    first = 1 + next(i for i, cell in enumerate(notebook["cells"]) if is_answer(cell))
    last = len(notebook["cells"])
    where = f"cell {first}, cell {last}"
    assert entry.notes[0] == f"99-sum: several different answers ({where}); none was taken"
    assert by_question(marks(course, assignment, "ada", result)) == FULL | {"99-sum": 0}


def test_an_answer_that_continues_an_earlier_one_is_kept_with_it(made):
    course, assignment = made
    notebook = filled(handed_out(course, "ada"), RIGHT | {"99-sum": "total = sum_first"})
    place = next(i for i, cell in enumerate(notebook["cells"]) if is_answer(cell))
    notebook["cells"].insert(place + 1, code("total = total + sum_second"))
    result, entry = repair_one(course, assignment, notebook)
    assert entry.status != "look"
    assert by_question(marks(course, assignment, "ada", result)) == FULL


def test_a_cell_moved_behind_its_use_is_moved_back(made):
    course, assignment = made
    notebook = filled(handed_out(course, "ada"), RIGHT)
    helper = next(cell for cell in notebook["cells"] if text(cell) == HELPER)
    notebook["cells"].remove(helper)
    notebook["cells"].append(helper)
    result, entry = repair_one(course, assignment, notebook)
    assert any("moved" in note for note in entry.notes)
    assert by_question(marks(course, assignment, "ada", result)) == FULL


def test_edited_parameters_are_restored(made):
    course, assignment = made
    handout = handed_out(course, "ada")
    notebook = filled(handout, RIGHT)
    place = next(i for i, cell in enumerate(notebook["cells"]) if cell.get("id") == "99-sum-parameters")
    notebook["cells"][place]["source"] = "sum_first = 1\nsum_second = 1"
    result, entry = repair_one(course, assignment, notebook)
    assert "99-sum-parameters was changed and is restored" in "; ".join(entry.notes)
    restored = next(cell for cell in result["cells"] if cell["id"] == "99-sum-parameters")
    assert text(restored) == text(handout["cells"][place])


def test_the_notebook_of_another_student_is_listed_and_scores_nothing_for_the_answers(made):
    course, assignment = made
    bobs = filled(
        handed_out(course, "bob"), RIGHT | {"99-sum": "total = 12345", "99-pair": "ends = [0.5, 0.7]"}
    )
    result, entry = repair_one(course, assignment, bobs, student="ada")
    assert entry.status == "look"
    assert entry.notes[0] == "the notebook says that it is bob's; it is graded with the parameters of ada"
    found = by_question(marks(course, assignment, "ada", result))
    assert (found["99-sum"], found["99-pair"]) == (0, 0)


def test_outputs_of_fifty_megabytes_are_dropped(made):
    course, assignment = made
    notebook = filled(handed_out(course, "ada"), RIGHT)
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}]
    result, _ = repair_one(course, assignment, notebook)
    assert len(json.dumps(result)) < 100_000
    assert by_question(marks(course, assignment, "ada", result)) == FULL


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "ada.ipynb is no notebook: Expecting property name"),
        ("[]", "ada.ipynb is no notebook: it has no cells."),
        ('{"cells": []}', "ada.ipynb is no notebook: it has no cells."),
        (
            '{"cells": [{"cell_type": "code", "source": "x = 1"}]}',
            "ada.ipynb has no cell of this assignment.",
        ),
    ],
)
def test_what_is_no_notebook_of_the_assignment_is_refused(made, tmp_path, content, message):
    course, assignment = made
    path = tmp_path / "ada.ipynb"
    path.write_text(content)
    with pytest.raises(FileError) as caught:
        repair_notebook(path, assignment=assignment, secret=course.secret, student="ada")
    assert str(caught.value).startswith(message)


def test_files_are_matched_by_folder_or_by_the_id_in_their_name_and_the_rest_is_listed(made):
    course, _ = made
    for student, name in (
        ("ada", "ada/solution.ipynb"),
        ("bob", "Bob Smith_12345_bob_ps1.ipynb"),
        ("cy", "unknown.ipynb"),
    ):
        hand_in(course, student, filled(handed_out(course, student), RIGHT), name=name)
    done = {entry.file: (entry.student, entry.status) for entry in repair_course(course, NAME)}
    assert done == {
        "Bob Smith_12345_bob_ps1.ipynb": ("bob", "unchanged"),
        "solution.ipynb": ("ada", "unchanged"),
        "unknown.ipynb": ("", "not repairable"),
    }
    with course.path("teacher", NAME, "repairs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3
    assert repaired(course, "bob")["metadata"]["kernelspec"]["name"] == "python3"


def test_what_nbgrader_collected_is_repaired_in_its_place_and_kept_as_it_was(made):
    course, _ = made
    notebook = filled(handed_out(course, "ada"), RIGHT)
    notebook["cells"].reverse()
    path = course.path("submitted", "ada", NAME, f"{NAME}.ipynb")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(notebook))
    for _ in range(2):  # a second time, the original is repaired again, not the repaired one
        done = repair_course(course, NAME, source=course.path("submitted"))
        assert [entry.status for entry in done] == ["repaired"]
    assert json.loads(course.path("collected", NAME, "ada", f"{NAME}.ipynb").read_text()) == notebook
    assert text(repaired(course, "ada")["cells"][0]).startswith("# Assignment")


def test_two_files_of_one_student_are_listed_and_neither_is_taken(made):
    course, _ = made
    for name in ("ada/one.ipynb", "ada/two.ipynb"):
        hand_in(course, "ada", filled(handed_out(course, "ada"), RIGHT), name=name)
    done = repair_course(course, NAME)
    assert [entry.status for entry in done] == ["not repairable"] * 2
    assert not course.path("submitted", "ada").exists()


@pytest.mark.parametrize("lesson", sorted(shipped_questions()))
def test_a_notebook_that_comes_back_as_it_was_handed_out_is_unchanged(tmp_path, lesson):
    course, made = make_course(tmp_path, questions=lesson)
    for student in made.students:
        hand_in(course, student.id, handed_out(course, student.id))
    done = repair_course(course, NAME)
    assert [(entry.status, entry.notes) for entry in done] == [("unchanged", ())] * 3


def test_a_written_answer_in_a_cell_of_its_own_below_is_put_into_its_place(made):
    course, assignment = made
    notebook = handed_out(course, "ada")
    notebook["cells"].append({"cell_type": "markdown", "id": "new", "metadata": {}, "source": "My reason."})
    result, _ = repair_one(course, assignment, notebook)
    assert [text(cell) for cell in result["cells"] if cell["id"] == "99-why-answer"] == ["My reason."]


def test_an_id_with_an_accent_is_found_in_the_name_of_a_file_from_macos(tmp_path):
    course, made = make_course(tmp_path, students=("chlo\u00e9", "bob"))
    notebook = handed_out(course, "chlo\u00e9")
    folder = course.path("collected", made.name)
    folder.mkdir(parents=True)
    (folder / "chloe\u0301_ps1.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    assert [entry.student for entry in repair_course(course, NAME)] == ["chlo\u00e9"]


def test_an_empty_folder_gets_advice(tmp_path):
    course, _ = make_course(tmp_path)
    with pytest.raises(FileError, match="Put what came back there, one folder or file per student"):
        repair_course(Course(course.folder), NAME)

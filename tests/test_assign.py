"""Questions, parameters, notebooks and marks of assignments, without a model and without a grader."""

from __future__ import annotations

import json
import zipfile

import pytest
from assign_for_tests import (
    NAME,
    QUESTIONS,
    RIGHT,
    SECRET,
    WRONG,
    code,
    filled,
    hand_in,
    handed_out,
    make_course,
    marks,
    text,
)

from latentkit import assign
from latentkit.assign.checking import check_questions
from latentkit.assign.course import SAMPLE, Course, current_grading
from latentkit.assign.draws import draw_parameters
from latentkit.assign.forms import same
from latentkit.assign.graders.grading import grade_course, read_marks
from latentkit.assign.graders.report import plot_report, report_course
from latentkit.assign.graders.running import grade_cells
from latentkit.assign.making import make_assignment, parameters_of
from latentkit.assign.question import Question, read_questions, shipped_questions
from latentkit.assign.repair.repairing import repair_course, repair_notebook
from latentkit.assign.roster import read_roster
from latentkit.cli import main
from latentkit.errors import ArgumentError, FileError, LatentkitError

SIXTY = [f"s{number:03}" for number in range(60)]


@pytest.fixture
def questions():
    return read_questions(QUESTIONS)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_building_twice_gives_the_same_bytes(tmp_path):
    graders = ("nbgrader", "otter")
    first, second = (
        make_course(tmp_path / name / "course", graders=graders, answers=True)[0] for name in "ab"
    )
    assert files(first.folder) == files(second.folder)
    assert len(files(first.folder)) > 10


def test_a_parameter_is_chosen_by_hmac_sha256_of_student_question_and_name(questions):
    import hashlib
    import hmac

    drawn = draw_parameters(questions[0], secret=b"key", student="ada")
    digest = hmac.new(b"key", b"3:ada6:99-sum9:sum_first", hashlib.sha256).digest()
    assert drawn["sum_first"] == 1 + int.from_bytes(digest, "big") % 99999


def test_no_two_of_60_students_have_all_parameters_equal(tmp_path):
    course, made = make_course(tmp_path, students=SIXTY)
    drawn = [json.dumps(parameters_of(made, course.secret, student)) for student in SIXTY]
    assert len(set(drawn)) == 60


@pytest.mark.parametrize("lesson", sorted(shipped_questions()))
def test_no_two_of_60_students_share_the_parameters_of_a_question_of_a_lesson(lesson):
    for question in read_questions(lesson):
        if not question.manual:
            drawn = [json.dumps(draw_parameters(question, secret=b"k", student=each)) for each in SIXTY]
            assert len(set(drawn)) >= 55, question.id


@pytest.mark.parametrize("lesson", sorted(shipped_questions()))
def test_names_of_a_lesson_are_different_in_all_questions(lesson):
    everything = [question for each in shipped_questions() for question in read_questions(each)]
    names = [name for question in everything for name in (*question.parameters, question.answer) if name]
    assert len(names) == len(set(names))


def test_the_answers_of_one_student_are_wrong_for_another(tmp_path):
    course, made = make_course(tmp_path, students=SIXTY)
    first = make_values(made, course.secret, "s000")
    answers = {"99-sum": f"total = {first['99-sum']!r}", "99-pair": f"ends = {first['99-pair']!r}"}
    wrong = 0
    for student in SIXTY[1:]:
        notebook = filled(handed_out(course, student), answers, "")
        found = marks(course, made, student, notebook)
        assert found["99-sum", "value"] == 0
        wrong += found["99-pair", "smallest"] + found["99-pair", "largest"] < 2
    assert wrong >= 57  # two small numbers may agree by chance


def make_values(made, secret, student):
    from latentkit.assign.marking import reference

    known = {
        question.id: reference(question, secret=secret, student=student) for question in made.questions[:3]
    }
    pair = [known["99-pair"].right[part] for part in ("smallest", "largest")]
    return {"99-sum": known["99-sum"].right["value"], "99-pair": pair}


def test_the_handout_contains_neither_the_answer_nor_solution_secret_or_tests(tmp_path):
    course, made = make_course(tmp_path, graders=("nbgrader", "otter"), answers=True)
    for student in ("ada", "bob"):
        text = json.dumps(handed_out(course, student))
        total = make_values(made, course.secret, student)["99-sum"]
        for hidden in (str(total), SECRET, "assign.grade", "HIDDEN", "SOLUTION", "commutative", "math.sqrt"):
            assert hidden not in text
        assert str(total) in (course.path("teacher", NAME, "answers", f"{student}.md")).read_text()
    other = str(parameters_of(made, course.secret, "bob")["99-sum"]["sum_first"])
    assert other not in json.dumps(handed_out(course, "ada"))


def test_the_rubric_has_points_mistakes_and_criteria(tmp_path):
    course, _ = make_course(tmp_path)
    rubric = course.path("teacher", NAME, "rubric.md").read_text()
    assert "* value: 2" in rubric
    assert "| no check | Forgets negative numbers. | 2 |" in rubric
    assert "commutative and associative" in rubric


@pytest.mark.slow
@pytest.mark.parametrize("lesson", sorted(shipped_questions()))
def test_questions_of_a_lesson_can_be_handed_out(lesson):
    assert [str(problem) for problem in check_questions(read_questions(lesson))] == []


def test_check_finds_nothing_wrong_with_the_questions_of_the_tests(questions):
    assert check_questions(questions) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stub": "total = sum_first + sum_second"}, "99-sum (a): the stub passes value"),
        ({"solution": "total = None"}, "99-sum (a): the solution does not pass value: Not attempted yet."),
        ({"solution": "total = 5"}, "99-sum (all): the answer is the same for all students who were tried"),
        (
            {"stub": "total = extra = None"},
            "99-sum (a): stub and solution have drifted: the solution does not define extra",
        ),
    ],
)
def test_check_finds_a_broken_question(questions, change, message):
    from dataclasses import replace

    broken = replace(questions[0], **change, mistakes=())
    assert message in [str(problem) for problem in check_questions([broken])]


def test_check_finds_a_mistake_that_passes_other_parts_than_it_says(questions):
    from dataclasses import replace

    mistake = replace(questions[1].mistakes[0], passes=("by hand",))
    problems = check_questions([replace(questions[1], mistakes=(mistake,))])
    assert str(problems[0]) == (
        "99-root (all): the mistake 'no check' passes ['by hand', 'own numbers'], "
        "and the question says ['by hand']"
    )


def test_a_common_mistake_is_named_in_the_marks_and_the_report(tmp_path):
    course, _ = make_course(tmp_path)
    for student, answers in (("ada", RIGHT), ("bob", WRONG)):
        hand_in(course, student, filled(handed_out(course, student), answers))
    repair_course(course, NAME)
    rows = grade_course(course, NAME)
    assert {row["mistake"] for row in rows if row["student"] == "bob"} == {"", "product", "no check"}
    assert read_marks(course, NAME) == rows
    report = report_course(course, NAME)
    assert "| 99-sum | 1 | 0 | 1 | 1 | 33% |" in report.text
    assert "* 1 × product: Multiplies." in report.text
    assert not [line for line in report.text.splitlines() if line.endswith((":", ": "))]
    book = course.path("results", NAME, "gradebook.csv").read_text().splitlines()
    assert book[0] == 'id,name,99-sum,99-root,99-pair,points,of,"by hand, of",repair'
    assert book[1:] == ["ada,Ada,2,3,2,7,7,2,", "bob,Bob,0,2,1,3,7,2,", "cy,Cy,0,0,0,0,7,2,"]
    bars = plot_report(report).containers[0]
    assert [bar.get_width() for bar in bars] == [1, 1, 1]
    assert course.path("results", NAME, "report.svg").read_text().startswith("<?xml")


def test_whose_submission_it_is_says_the_folder_not_the_notebook_or_the_environment(tmp_path, monkeypatch):
    course, _ = make_course(tmp_path)
    place = course.path("autograded", "bob", NAME)
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("LATENTKIT_STUDENT", "ada")
    found = current_grading()
    assert (found.student, found.name, found.course.folder) == ("bob", NAME, course.folder)
    source = course.path("source", NAME)
    source.mkdir(parents=True)
    monkeypatch.chdir(source)
    assert current_grading().student == SAMPLE


def test_a_student_cannot_grade(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LatentkitError, match="only in the folder of a course"):
        assign.grade("99-sum", "value", {"total": 1})


def test_the_form_of_an_answer_is_checked_without_its_value(capsys):
    assign.check_form(3, "whole number")
    assert capsys.readouterr().out.startswith("The form is right.")
    with pytest.raises(AssertionError, match=r"The answer is a whole number, such as 7; this is '3'\."):
        assign.check_form("3", "whole number")
    with pytest.raises(AssertionError, match="Not attempted yet"):
        assign.check_form(None, "function")


def test_a_function_that_only_returns_none_counts_as_not_attempted():
    def stub(_first, _second):
        return None

    def answer(first, _second):
        return None if first else 0

    with pytest.raises(AssertionError, match="Not attempted yet"):
        assign.check_form(stub, "function")
    assign.check_form(answer, "function")
    assign.check_form(len, "function")


def test_each_student_gets_messages_without_right_answers_and_written_answers_stand_on_one_page(tmp_path):
    course, _ = make_course(tmp_path)
    for student, answers in (("ada", RIGHT), ("bob", WRONG), ("cy", {})):
        hand_in(course, student, filled(handed_out(course, student), answers))
    repair_course(course, NAME)
    grade_course(course, NAME)
    folder = course.path("results", NAME)
    bob = (folder / "feedback" / "bob.md").read_text(encoding="utf-8")
    assert bob.startswith("# Assignment ps1: Bob\n\n3 of 7 points.\n")
    assert "Multiplies." in bob
    drawn = json.loads(course.path("handout", NAME, "bob", f"{NAME}.ipynb").read_text(encoding="utf-8"))
    names: dict[str, int] = {}
    exec(next(text(cell) for cell in drawn["cells"] if cell["id"] == "99-sum-parameters"), names)
    assert str(names["sum_first"] + names["sum_second"]) not in bob.partition("##")[2].partition("##")[0]
    cy = (folder / "feedback" / "cy.md").read_text(encoding="utf-8")
    assert "Not right" not in cy
    assert cy.count("Not attempted yet.") == 6
    written = (folder / "written.md").read_text(encoding="utf-8")
    assert "### Ada (ada)\n\n> Because a + b = b + a.\n" in written
    assert "### Cy (cy)\n\n> (nothing)\n" in written
    assert "2 points: addition is commutative" in written


def test_an_answer_whose_cell_stops_with_an_error_does_not_count_as_not_attempted(tmp_path):
    course, made = make_course(tmp_path)
    notebook = filled(handed_out(course, "ada"), {"99-sum": "total = (1 +"})
    path = hand_in(course, "ada", notebook)
    stored, _ = repair_notebook(path, assignment=made, secret=course.secret, student="ada")
    rows = grade_cells(stored["cells"], made, secret=course.secret, student="ada")
    assert {row["message"] for row in rows if row["question"] == "99-sum"} == {"name 'total' is not defined"}


def test_the_gradebook_names_those_whose_file_needs_a_look(tmp_path, capsys):
    course, _ = make_course(tmp_path)
    for student in ("ada", "bob"):
        notebook = filled(handed_out(course, student), RIGHT)
        if student == "bob":
            notebook["cells"].append(code("total = 0"))
        hand_in(course, student, notebook)
    repair_course(course, NAME)
    assert main(["assign", "grade", str(course.folder)]) == 0
    assert f"Look first at {course.path('teacher', NAME, 'repairs.csv')}: bob" in capsys.readouterr().out
    book = course.path("results", NAME, "gradebook.csv").read_text(encoding="utf-8").splitlines()
    assert [line.rpartition(",")[2] for line in book] == ["repair", "", "look", ""]


def test_the_table_of_answers_has_one_line_per_answer(tmp_path):
    course, made = make_course(tmp_path, answers=True)
    lines = course.path("teacher", NAME, "answers.csv").read_text(encoding="utf-8").splitlines()
    parts = sum(len(question.parts) for question in made.questions)
    assert len(lines) == 1 + parts * len(made.students)


@pytest.mark.parametrize(
    ("given", "right", "tolerance", "expected"),
    [
        (1.004, 1.0, 0.005, True),
        (1.006, 1.0, 0.005, False),
        (True, 1, 0.0, False),
        ([1, 2], (1, 2), 0.0, True),
        ([1], [1, 2], 0.0, False),
        (float("nan"), float("nan"), 0.0, True),
        ("a", "a", 0.0, True),
        (None, 0, 0.0, False),
        ([0.0, 5], [1e-15, 5], 0.0, True),
    ],
)
def test_two_values_count_as_equal(given, right, tolerance, expected):
    assert same(given, right, tolerance) is expected


def test_cells_run_as_in_a_notebook_and_errors_end_one_cell_only():
    from latentkit.assign.graders.running import new_names, run_cell

    names = new_names()
    for source in (
        "%matplotlib inline\na = 1",
        "!exit 3",
        "%%time\nb = a + 1",
        "c = 1 / 0",
        "exit()",
        "d = ",
        "e = b",
    ):
        run_cell(source, names)
    assert (names["a"], names["b"], names["e"]) == (1, 2, 2)
    assert "c" not in names


def test_otters_tests_are_one_file_per_part_and_hold_no_answer(tmp_path):
    course, _ = make_course(tmp_path, graders=("otter",))
    with zipfile.ZipFile(course.path("otter", NAME, "autograder.zip")) as archive:
        names = archive.namelist()
        text = "".join(archive.read(name).decode() for name in names)
    assert "tests/99-root-below-zero.py" in names
    assert "solution" not in text
    assert SECRET not in text


def test_widgets_draw_nothing_while_a_notebook_is_graded(run_python, tmp_path):
    course, _ = make_course(tmp_path)
    place = course.path("autograded", "ada", NAME)
    place.mkdir(parents=True)
    said = run_python(
        f"import os; os.chdir({str(place)!r})\n"
        "import latentkit as lk\nfrom latentkit import assign, explorer\nassign.begin()\n"
        "print(lk.explore(3).save_html(4), lk.slide('x'), explorer.explore_model(5), input('?') == '')"
    )
    assert said.strip() == " ".join(["A widget, not drawn while the notebook is graded."] * 3 + ["True"])


@pytest.mark.parametrize(
    ("roster", "message"),
    [
        ("name\nAda\n", "has no students in a column id"),
        ("id\nada\nADA\n", "has the id 'ada' twice"),
        ("id\n../ada\n", "line 2: '../ada' is no usable id"),
        ("", "has no students in a column id"),
    ],
)
def test_a_roster_that_cannot_be_used_gets_advice(tmp_path, roster, message):
    path = tmp_path / "students.csv"
    path.write_text(roster)
    with pytest.raises(FileError) as caught:
        read_roster(path)
    assert message in str(caught.value)


def test_a_roster_from_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "students.csv"
    path.write_bytes("\ufeffid;first_name;last_name;email\nada;Ada;Lovelace;a@b\n;;;\n".encode())
    assert read_roster(path) == [("ada", "Ada Lovelace")]


def test_two_students_with_all_parameters_equal_are_refused(tmp_path):
    question = Question("q", "1", "t", "x", "a", "number", "a = None", "a = p", {"p": [1]}, parts=())
    (tmp_path / "r.csv").write_text("id\nada\nbob\n")
    with pytest.raises(ArgumentError, match="ada and bob would have all parameters equal"):
        make_assignment([question], roster=tmp_path / "r.csv", out=tmp_path / "c")


def test_a_lost_secret_is_named(tmp_path):
    course, _ = make_course(tmp_path)
    course.path("secret.key").unlink()
    with pytest.raises(FileError, match="Without it the students' parameters are lost"):
        _ = Course(tmp_path).secret


def test_an_unknown_lesson_gets_the_known_ones():
    with pytest.raises(ArgumentError, match=r"There are no questions for lesson '77'\. Known: '00'"):
        read_questions("77")


def test_the_commands_make_repair_grade_and_report_a_course(tmp_path, capsys):
    (tmp_path / "students.csv").write_text("id\nada\nbob\n")
    course = str(tmp_path / "course")
    make = ["assign", "make", str(QUESTIONS), "--roster", str(tmp_path / "students.csv"), "--out", course]
    assert main([*make, "--name", NAME]) == 0
    hand_in(Course(course), "ada", filled(handed_out(Course(course), "ada"), RIGHT))
    for command in ("repair", "grade", "report"):
        assert main(["assign", command, course]) == 0
    said = capsys.readouterr().out
    assert "2 notebooks in" in said
    assert "1 unchanged\nNo notebook from: bob\n" in said
    assert "| 99-sum | 1 | 0 | 0 | 1 | 50% |" in said
    assert main(["assign", "grade", course, "--with", "otter"]) == 2
    assert "was not made for otter. Make it again with: --for otter" in capsys.readouterr().err

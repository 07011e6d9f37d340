"""What teachers use besides assignments: the doctor's check of a class, slides, wheels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from latentkit.assign.checking import check_questions
from latentkit.assign.question import read_questions
from latentkit.assign.teaching import wheelhouse
from latentkit.assign.teaching.readiness import Measured, class_findings, measure_student
from latentkit.assign.teaching.slides import make_slides, slide_types
from latentkit.cli import COMMANDS, main
from latentkit.errors import ArgumentError, FileError

LESSON = next((Path(__file__).resolve().parent.parent / "notebooks").glob("02_*.ipynb"))


def row(findings, what):
    return next((verdict, found) for verdict, name, found in findings if name == what)


def test_memory_for_a_class_is_that_of_a_student_with_a_server_times_their_number():
    findings = class_findings(30, measured=Measured(350e6, 1.0), available=20e9)
    assert row(findings, "memory") == ("ok", "500 MB each, 15.0 GB for 30; free: 20.0 GB")
    findings = class_findings(50, measured=Measured(350e6, 1.0), available=20e9)
    assert row(findings, "memory") == (
        "FAIL",
        "500 MB each, 25.0 GB for 50; free: 20.0 GB: enough for 40. Close notebooks or split the class",
    )


def test_a_laptop_needs_no_server_of_its_own_per_student():
    assert row(class_findings(1, measured=Measured(350e6, 1.0), available=1e9), "memory")[1].startswith(
        "350 MB each"
    )


def test_waiting_is_named_if_a_class_is_large_for_its_cores(monkeypatch):
    from latentkit.assign.teaching import readiness

    monkeypatch.setattr(readiness, "available_cores", lambda: 2)
    verdict, found = row(class_findings(80, measured=Measured(1e6, 1.5), available=1e9), "cores")
    assert verdict == "note"
    assert found.startswith(
        "2 cores; a trace takes 1.5 s alone, 60 s if 80 start at once. Let them start in turns"
    )


def test_a_kernel_that_cannot_start_is_a_failure():
    findings = class_findings(3, measured="ModuleNotFoundError: No module named 'torch'")
    assert findings[0] == (
        "FAIL",
        "a student's kernel",
        "the first lesson stops: ModuleNotFoundError: No module named 'torch'",
    )


def test_a_class_has_students():
    with pytest.raises(ArgumentError, match="must be at least 1, got 0"):
        class_findings(0)


def test_the_widgets_of_this_environment_are_found():
    assert row(class_findings(1, measured=Measured(1, 1)), "widgets")[0] == "ok"


def test_missing_widget_extensions_are_named(monkeypatch, tmp_path):
    import jupyter_core.paths

    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *_: [str(tmp_path)])
    verdict, found = row(class_findings(1, measured=Measured(1, 1)), "widgets")
    assert (verdict, found) == (
        "FAIL",
        "JupyterLab lacks extensions. Run: pip install --force-reinstall anywidget ipywidgets",
    )


@pytest.mark.slow
def test_a_student_of_the_first_lesson_needs_no_network_and_less_than_a_gigabyte():
    found = measure_student()
    assert isinstance(found, Measured), found
    assert 50e6 < found.memory < 1e9


def test_the_doctor_takes_a_number_of_students_only(capsys):
    assert main(["doctor", "--students", "many"]) == 2
    assert "doctor takes only --students and a number, got '--students many'." in capsys.readouterr().err


def cell(kind, source, *tags, **more):
    return {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)}, **more}


def test_headings_start_slides_figures_the_next_one_and_exercises_are_left_out():
    figure = [{"output_type": "display_data", "data": {"image/png": "x"}}]
    cells = [
        cell("markdown", "# Title"),
        cell("markdown", "Text."),
        cell("code", 'guess = classroom.predict("What?")\nguess', outputs=[]),
        cell("code", "guess.compare(1)", outputs=[]),
        cell("code", "lk.plot()", outputs=figure),
        cell("markdown", "### A smaller heading"),
        cell("markdown", "word " * 400),
        cell("markdown", "## Next"),
        cell("markdown", "### Exercise", "exercise:02-x"),
        cell("code", "answer = None", "answer:02-x", outputs=[]),
    ]
    assert slide_types(cells) == [
        "slide",
        "-",
        "fragment",
        "fragment",
        "subslide",
        "subslide",
        "subslide",
        "slide",
        "skip",
        "skip",
    ]


def test_a_widget_on_a_slide_is_its_picture_and_predictions_show_no_code(tmp_path):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Widget()"}
    outputs = [
        {"output_type": "display_data", "metadata": {}, "data": data}
        for data in (view, view | {"text/html": "<p>Its picture</p>"})
    ]
    cells = [
        cell("markdown", "# Title", id="a"),
        cell("code", "lk.explore(trace)", id="b", outputs=outputs, execution_count=1),
        cell("code", "guess = classroom.predict('What?')", id="c", outputs=outputs[1:], execution_count=2),
    ]
    lesson = tmp_path / "lesson.ipynb"
    lesson.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    page = make_slides(lesson, tmp_path / "slides.html", reveal="reveal", run=False).read_text()
    assert page.count("Its picture") == 2
    assert "Widget()" not in page
    assert "widget-view" not in page.partition("<body")[2]
    assert "explore" in page
    assert "What?" not in page


def test_slides_of_a_lesson_have_its_figures_with_alt_text_and_no_narrating_code(tmp_path):
    out = make_slides(LESSON, tmp_path / "slides.html", reveal="reveal", run=False)
    page = out.read_text()
    assert page.count("<section") > 10
    images = re.findall(r"<img[^>]*>", page)
    assert images
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)
    hidden = [
        "".join(each["source"]).splitlines()[0]
        for each in json.loads(LESSON.read_text())["cells"]
        if each["metadata"].get("jupyter", {}).get("source_hidden")
    ]
    assert hidden
    assert "reveal/dist/reveal.js" in page
    assert "unpkg.com/reveal" not in page


@pytest.mark.slow
def test_slides_that_run_the_lesson_have_figures_as_svg(tmp_path):
    page = make_slides(LESSON, tmp_path / "slides.html", reveal="reveal").read_text()
    assert "data:image/svg+xml;base64," in page
    assert 'src="data:image/png' not in page  # the style sheet has one


@pytest.mark.slow
def test_the_question_in_the_teachers_guide_can_be_handed_out(tmp_path):
    guide = (Path(__file__).resolve().parent.parent / "book" / "teaching.md").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", guide, re.DOTALL)[1])
    assert check_questions(read_questions(path)) == []


def test_every_command_in_the_teachers_guide_exists():
    guide = (Path(__file__).resolve().parent.parent / "book" / "teaching.md").read_text()
    used = set(re.findall(r"(?:^|`|\.venv/bin/)latentkit ([a-z]+)(?: ([a-z]+))?", guide, re.MULTILINE))
    commands = {first for first, _ in used if first in COMMANDS}
    assert commands >= {"doctor", "wheelhouse", "slides", "assign"}
    for first, second in used:
        assert first in COMMANDS, first
        if first == "assign":
            assert second in {"", "make", "check", "repair", "grade", "report"}


def test_a_folder_without_reveal_is_refused(capsys, tmp_path):
    assert main(["slides", str(LESSON), "--reveal", str(tmp_path)]) == 2
    assert "has no folder dist. Unpack reveal.js there" in capsys.readouterr().err


def test_wheels_are_collected_for_the_kit_with_its_constraints_and_for_building_it(monkeypatch, tmp_path):
    commands = []

    class Done:
        returncode, stderr = 0, ""

    monkeypatch.setattr(wheelhouse.subprocess, "run", lambda command, **_: commands.append(command) or Done())
    project = tmp_path / "kit"
    project.mkdir()
    (project / "pyproject.toml").write_text("")
    assert wheelhouse.make_wheelhouse(tmp_path / "wheels", source=project, options=["--pre"]) == []
    first, second = (command[command.index("wheel") + 1 :] for command in commands)
    folder, constraints = str(tmp_path / "wheels"), str(project / "constraints.txt")
    assert first == ["--wheel-dir", folder, "--pre", "--constraint", constraints, f"{project}[lab]"]
    assert second[3:] == ["pip", "hatchling", "editables"]


def test_wheels_outside_the_project_are_refused(tmp_path):
    with pytest.raises(FileError, match=r"has no pyproject\.toml"):
        wheelhouse.make_wheelhouse(tmp_path / "wheels", source=tmp_path)

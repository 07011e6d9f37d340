"""A small course, students of several kinds, and what students do to notebooks."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

from latentkit.assign.course import Course
from latentkit.assign.graders.running import grade_cells
from latentkit.assign.making import make_assignment
from latentkit.assign.question import read_questions

QUESTIONS = Path(__file__).parent / "assign_questions.toml"
SECRET = "a secret for tests, not for a course"
NAME = "ps1"

# What students write into the answer cells, by question.
RIGHT = {
    "99-sum": "total = sum_first + sum_second\nprint(total)",
    "99-root": "def root(x):\n    # not below 0\n    if x < 0:\n        return None\n    return helper(x)",
    "99-pair": "found = sorted(pair_list)\n\nends = [found[0], found[-1]]",
    "99-why": "Because a + b = b + a.",
}
HELPER = "def helper(x):\n    return math.sqrt(x)"
WRONG = RIGHT | {
    "99-sum": "total = sum_first * sum_second",
    "99-root": "def root(x):\n    return helper(abs(x))",
    "99-pair": "ends = [min(pair_list), pair_list[0] + 0.5]",
}


def make_course(folder, *, students=("ada", "bob", "cy"), graders=(), questions=QUESTIONS, answers=False):
    """A course with one assignment and a fixed secret."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secret.key").write_text(SECRET)
    roster = folder / "students.csv"
    roster.write_text("id,name\n" + "".join(f"{each},{each.title()}\n" for each in students))
    made = make_assignment(
        read_questions(questions), roster=roster, out=folder, name=NAME, graders=graders, answers=answers
    )
    return Course(folder), made


def handed_out(course, student):
    return json.loads(course.path("handout", NAME, student, f"{NAME}.ipynb").read_text())


def filled(notebook, answers, helper=HELPER):
    """The notebook with a student's answers, and a cell of the student's own before the first use."""
    notebook = copy.deepcopy(notebook)
    cells = []
    for cell in notebook["cells"]:
        question = cell["id"].removesuffix("-answer")
        if cell["id"].endswith("-answer") and question in answers:
            cell["source"] = answers[question]
            if helper and question == "99-root":
                cells.append(code(helper))
        cells.append(cell)
    return notebook | {"cells": cells}


def code(source, **more):
    return {
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    } | more


def hand_in(course, student, notebook, *, name=None):
    path = course.path("collected", NAME, name or f"{student}/{NAME}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))
    return path


def repaired(course, student):
    return json.loads(course.path("submitted", student, NAME, f"{NAME}.ipynb").read_text())


def marks(course, made, student, notebook=None):
    """Marks by question and part, by the kit's own grader, in this process."""
    cells = (notebook or repaired(course, student))["cells"]
    rows = grade_cells(cells, made, secret=SECRET.encode(), student=student)
    return {(row["question"], row["part"]): row["points"] for row in rows}


def text(cell):
    return "".join(cell["source"])


def is_answer(cell):
    return str(cell.get("id", "")).endswith("-answer")


def _answers(cells):
    return [place for place, cell in enumerate(cells) if is_answer(cell) and cell["cell_type"] == "code"]


def copy_answer(cells, draw):
    place = draw.choice(_answers(cells) or [0])
    cells.insert(draw.randrange(len(cells) + 1), code(text(cells[place]), id=f"copy-{draw.random()}"[:20]))


def copy_kit(cells, draw):
    place = draw.randrange(len(cells))
    if not is_answer(cells[place]):
        cells.insert(draw.randrange(len(cells) + 1), copy.deepcopy(cells[place]))


def delete_kit(cells, draw):
    kit = [
        place for place, cell in enumerate(cells) if "latentkit" in cell["metadata"] and not is_answer(cell)
    ]
    for place in sorted(draw.sample(kit, min(len(kit), 3)), reverse=True):
        del cells[place]


def retype(cells, draw):
    for place in draw.sample(_answers(cells), min(2, len(_answers(cells)))):
        cells[place] = code(text(cells[place]))


def change_type(cells, draw):
    if answers := _answers(cells):
        cell = cells[draw.choice(answers)]
        cell["cell_type"] = draw.choice(["markdown", "raw"])


def move(cells, draw):
    for _ in range(draw.choice([1, 2, 6])):
        cells.insert(draw.randrange(len(cells)), cells.pop(draw.randrange(len(cells))))


def turn_round(cells, draw):
    cells.reverse()


def merge(cells, draw):
    place = draw.randrange(len(cells) - 1)
    count = draw.choice([2, 2, 3, 5])
    group = cells[place : place + count]
    if len({cell["cell_type"] for cell in group}) == 1:
        cells[place] = group[0] | {"source": "\n\n".join(map(text, group))}
        del cells[place + 1 : place + count]


def split(cells, draw):
    long = [place for place in _answers(cells) if len(text(cells[place]).splitlines()) > 1]
    if long:
        place = draw.choice(long)
        lines = text(cells[place]).splitlines()
        cut = draw.randrange(1, len(lines))
        cells[place]["source"] = "\n".join(lines[:cut])
        cells.insert(place + 1, code("\n".join(lines[cut:])))


def lose_ids(cells, draw):
    for cell in cells:
        cell.pop("id", None)
        cell["metadata"] = {"id": "x1", "colab": {"base_uri": "https://example.org"}}


def edit_parameters(cells, draw):
    for cell in cells:
        if str(cell.get("id", "")).endswith("-parameters"):
            cell["source"] = text(cell).replace("= ", "= 1")


def type_into_test(cells, draw):
    """The answer is typed into the cell of the test."""
    for place in _answers(cells):
        after = next((cell for cell in cells[place + 1 :] if "-test-" in str(cell.get("id"))), None)
        if after is not None and cells[place]["id"].rpartition("-")[0] in after["id"]:
            after["source"] = f"{text(cells[place])}\n{text(after)}"
            del cells[place]
            return


def add_cells(cells, draw):
    cells.insert(draw.randrange(len(cells)), code("print('a note to myself')"))
    cells.insert(draw.randrange(len(cells)), {"cell_type": "markdown", "metadata": {}, "source": "My notes."})


def windows_lines(cells, draw):
    for cell in cells:
        cell["source"] = text(cell).replace("\n", "\r\n")


def add_outputs(cells, draw):
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 1000}]


MUTATIONS = [
    copy_answer, copy_kit, delete_kit, retype, change_type, move, turn_round, merge, split, lose_ids,
    edit_parameters, type_into_test, add_cells, windows_lines, add_outputs,
]  # fmt: skip


def mangled(notebook, seed):
    """The notebook after one to four mutations, and their names."""
    draw = random.Random(seed)
    chosen = [MUTATIONS[seed % len(MUTATIONS)], *draw.sample(MUTATIONS, draw.choice([0, 0, 1, 2, 3]))]
    notebook = copy.deepcopy(notebook)
    for mutation in chosen:
        mutation(notebook["cells"], draw)
    if draw.random() < 0.3:
        notebook["metadata"] = {
            "kernelspec": {"name": "ir", "language": "R", "display_name": "R"},
            "colab": {},
        }
    return notebook, [mutation.__name__ for mutation in chosen]

"""The autograder of otter: a zip file with one test file per part of a question."""

from __future__ import annotations

import io
import zipfile

from latentkit.assign.course import Assignment, as_json

__all__ = ["autograder_zip", "otter_name"]

_TEST = """from otter.test_files import test_case

OK_FORMAT = False

name = {name!r}
points = {points!r}


@test_case(name={name!r}, points={points!r}, hidden=True)
def test_part(env):
    from latentkit import assign

    assign.grade({question!r}, {part!r}, env)
"""
_CONFIG = {"force_public_test_summary": False, "lang": "python", "show_hidden": True}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold; the same bytes every time


def autograder_zip(assignment: Assignment) -> bytes:
    """Return the zip file that ``otter run --autograder`` takes.

    The tests are the same for all students and contain no answer. They find the course and the student in
    environment variables that `latentkit assign grade` sets.
    """
    files = {"otter_config.json": as_json(_CONFIG)}
    for question in assignment.questions:
        for part in question.parts:
            name = otter_name(question.id, part.name)
            files[f"tests/{name}.py"] = _TEST.format(
                name=name, points=part.points, question=question.id, part=part.name
            )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return packed.getvalue()


def otter_name(question: str, part: str) -> str:
    """Return the name of a test file."""
    return f"{question}-{part.replace(' ', '-')}"

"""The fixture that all these tests share."""

import pytest
from course_of_one import Course, make_course


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Give the course of a problem set, one for all tests of a file."""
    folder, made = tmp_path_factory.mktemp("course"), {}

    def released(name: str) -> Course:
        if name not in made:
            made[name] = make_course(folder / name, name)
        return made[name]

    return released

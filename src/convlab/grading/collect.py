"""Find whose file is whose in what a learning platform hands out."""

import re
import unicodedata
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from convlab.grading.course import Course, CourseError

_MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?")
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<number>\d+)_\d+_(?P<file>.+)")
_MOST = 50 << 20  # bytes of one file


def collect(course: Course, source: Path, name: str) -> tuple[dict[str, str], list[str]]:
    """Keep the submissions of a zip or folder; give the file of each student, and what matches nobody.

    Understood are Moodle's folders ("Ada Lovelace_123_assignsubmission_file_/…"), Canvas's files
    ("lovelaceada_123_456_ps03.ipynb") and plain folders or files that are called like a student's id. Of
    several notebooks of one student, the one called like the problem set counts, else the last.
    """
    course.problem_set(name)
    if not source.exists():
        raise CourseError(f"there is no {source}")
    matched: dict[str, tuple[str, bytes]] = {}
    left: list[str] = []
    names: dict[str, set[str]] = {}
    for one in course.roster.values():
        for form in name_forms(one.name):
            names.setdefault(form, set()).add(one.id)
    for path, content in _files(source):
        if content is None:
            left.append(f"{path}: larger than {_MOST >> 20} MB")
            continue
        student = _student(path, course.roster, names)
        if student is None:
            left.append(path)
        elif (
            student in matched
            and PurePosixPath(path).stem != name
            and PurePosixPath(matched[student][0]).stem == name
        ):
            left.append(f"{path}: besides {matched[student][0]}")
        else:
            if student in matched:
                left.append(f"{matched[student][0]}: besides {path}")
            matched[student] = (path, content)
    for student, (_, content) in matched.items():
        course.collected(name, student, content)
    return {student: path for student, (path, _) in matched.items()}, left


def _files(source: Path) -> Iterator[tuple[str, bytes | None]]:
    """Give the path and the content of each file, None for one that is too large; nothing is unpacked."""
    if source.is_dir():
        for file in sorted(source.rglob("*")):
            if file.is_file() and not file.is_symlink() and not _hidden(file.relative_to(source).parts):
                path = file.relative_to(source).as_posix()
                yield path, file.read_bytes() if file.stat().st_size <= _MOST else None
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                parts = PurePosixPath(entry.filename).parts
                if not entry.is_dir() and not _hidden(parts):
                    with archive.open(entry) as content:
                        read = content.read(_MOST + 1)
                    yield entry.filename, read if len(read) <= _MOST else None
    except zipfile.BadZipFile as error:
        raise CourseError(f"{source} is neither a folder nor a zip: {error}") from None


def _hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in parts)


def _student(path: str, roster: Collection[str], names: Mapping[str, set[str]]) -> str | None:
    """Tell whose file this is; without a roster, an id is made of a name."""

    def named(name: str) -> str | None:
        found = names.get(_letters(name), set()) if roster else {_letters(name)} - {""}
        return next(iter(found)) if len(found) == 1 else None

    parts = PurePosixPath(path).parts
    for part in reversed(parts[:-1]):
        if moodle := _MOODLE.fullmatch(part):
            return named(moodle["name"])
        if part in roster or (not roster and re.fullmatch(r"[\w@-][\w.@-]*", part)):
            return part
    stem = PurePosixPath(parts[-1]).stem
    if stem in roster:
        return stem
    if canvas := _CANVAS.fullmatch(parts[-1]):
        return canvas["number"] if canvas["number"] in roster else named(canvas["name"])
    return None


def name_forms(name: str) -> set[str]:
    """How platforms write a name: "adalovelace", "lovelaceada".

    >>> sorted(name_forms("Ada King Lovelace"))
    ['adakinglovelace', 'lovelaceadaking']
    """
    words = name.replace(",", " ").split()
    if not words:
        return set()
    return {_letters("".join(words)), _letters("".join([words[-1], *words[:-1]]))}


def _letters(text: str) -> str:
    """Lower case without accents, blanks and signs; letters of other scripts stay."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if character.isalnum())

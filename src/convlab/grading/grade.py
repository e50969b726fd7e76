"""Grade what was collected on a Dask cluster; only this process writes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
import nbformat
from distributed import Client, Future, LocalCluster, as_completed
from tqdm import tqdm

from convlab.grading.course import Course, key_of
from convlab.grading.sandbox import Limits
from convlab.grading.task import Result, Status, grade

_AT_ONCE = 4  # submissions per worker that are on their way


@contextmanager
def cluster(jobs: int, scheduler: str = "") -> Iterator[Client]:
    """Connect to the scheduler at this address; without one, start workers here."""
    if scheduler:
        with Client(scheduler) as client:
            yield client
        return
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),  # its samples pile up
        LocalCluster(
            n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as local,
        Client(local) as client,
    ):
        yield client


def grade_all(
    course: Course,
    name: str,
    client: Client,
    limits: Limits,
    *,
    confined: bool = True,
    again: bool = False,
    quiet: bool = False,
) -> dict[str, Status]:
    """Grade every submission that is new or has changed; give the status of each that was graded now."""
    source = nbformat.writes(course.to_grade(name)).encode()
    files = course.files(name)
    todo = []
    for student, content in course.submissions(name).items():
        key = key_of(content, source, files, course.code(student))
        if again or course.result(name, student).get("key") != key:
            todo.append((student, content, key))
    done: dict[str, Status] = {}
    waiting: dict[str, tuple[str, str]] = {}
    shared = client.scatter([source, files], broadcast=True) if todo else []

    def submit() -> Future:
        student, content, key = todo.pop(0)
        future = client.submit(
            grade,
            content,
            shared[0],
            course.code(student),
            shared[1],
            limits,
            confined=confined,
            pure=False,
            retries=2,
        )
        waiting[future.key] = (student, key)
        return future

    with (
        course.gradebook() as book,
        tqdm(total=len(todo), unit=" submissions", disable=quiet or not todo) as bar,
    ):
        room = _AT_ONCE * max(len(client.scheduler_info()["workers"]), 1)
        running = as_completed([submit() for _ in range(min(room, len(todo)))])
        for future in running:
            student, key = waiting.pop(future.key)
            try:
                result = future.result()
            except (
                Exception
            ) as error:  # a lost worker, again and again, or a fault of the grader: try next time
                fault = f"the grader failed: {type(error).__name__}: {error}"[:300]
                result, key = Result(Status.KILLED, remarks=(fault,)), ""
            course.save(book, name, student, key, result)
            done[student] = result.status
            future.release()
            bar.update()
            if todo:
                running.add(submit())
    return done

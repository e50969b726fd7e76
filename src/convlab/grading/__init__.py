"""The instructor's kit: release problem sets, collect what comes back, grade it safely, export marks.

It is the command ``convlab-grade``, see ``book/instructors.md``. The parts, from the inside out:

- `_agent`: in the student's kernel; hands out plain data and calls functions;
- `sandbox`: that kernel, under bubblewrap and within limits;
- `checker`: a process of its own for the instructor's test cells, where no code of a student ever runs;
- `notebook`: the notebook that is graded: the student's answers among the instructor's cells;
- `task`: one submission, from bytes to marks;
- `course`: folders, roster and secret of a course, its gradebook; `cli`: the command.
"""

"""nbgrader's settings of this course."""

c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "convlab"
c.ClearSolutions.code_stub = {"python": "# your code"}
c.ClearSolutions.text_stub = "*Your answer*"

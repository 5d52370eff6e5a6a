"""Helper package of the course: each module is one idea, readable top to bottom."""

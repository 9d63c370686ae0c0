"""Warnings of skkd."""


class DistillationWarning(UserWarning):
    """Something about a teacher and its student that is probably not meant."""


class TeacherWarning(DistillationWarning):
    """Something about a teacher that is probably not meant; begins with its code."""

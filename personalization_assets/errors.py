"""The one kind of error that is shown to a user as a sentence instead of a traceback."""


class UserError(Exception):
    """Something that the user wrote, or a file they gave, has to change before the work can go on.

    The message is a single sentence that says what is wrong, where, and what to do. It never
    carries a cell of a customer table.
    """

"""The one kind of error that is the user's to mend.

Every refusal that a user can cause (an unreadable file, an impossible setting, a missing model) is a `UserError` or a
subclass of it; the command line prints its message as one line and exits with status 2. Anything else that is raised
is a defect of the package and shows its traceback.
"""


class UserError(ValueError):
    """One clear line that names what was wrong, its value, and how to mend it."""

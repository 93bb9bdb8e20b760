"""The one exception for a user's mistake: commands print its text and exit 1, without a traceback."""


class UserError(ValueError):
    """Something the user can mend. The text states the fact, what is allowed and what to run next."""

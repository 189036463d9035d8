"""What is wrong with one field of an input."""


class InvalidField(ValueError):
    """A field cannot be used.

    Args:
        field: its name.
        problem: what is wrong with it and what is allowed.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"

"""What a command says when it cannot do what it was asked to."""


class Refused(Exception):
    """The command stops here; the message is one line for people.

    Args:
        message: what is wrong and what to do about it.
        exit_code: 2 where the command was asked for something that cannot be, 1 where its work failed.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def harmless(text: str) -> str:
    """Return text in one line, with a mark for each character that could steer a terminal or that it cannot show.

    >>> len(harmless("two" + chr(10) + "lines" + chr(27)))
    10
    """
    line = " ".join(text.splitlines())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)

"""The conditions: plain data with a stable reason."""

import pytest

from retinue.runtime import errors
from retinue.runtime.errors import ImageTooLarge, InvalidImage, InvalidInput, ModelNotFound, Overloaded, RetinueError

CONDITIONS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RetinueError)]


def test_every_condition_has_a_reason_of_its_own() -> None:
    reasons = [kind.reason for kind in CONDITIONS]

    assert len(set(reasons)) == len(reasons)
    assert all(reason.isupper() and reason.replace("_", "").isalpha() for reason in reasons)


def test_message_and_metadata_are_kept() -> None:
    error = ModelNotFound("no model m", model="m", version="")

    assert str(error) == error.message == "no model m"
    assert error.metadata == {"model": "m", "version": ""}


@pytest.mark.parametrize("kind", [InvalidInput, InvalidImage, ImageTooLarge])
def test_field_is_named_in_message_and_metadata(kind: type[InvalidInput]) -> None:
    error = kind("image", "has 9 bytes; 8 are allowed", limit="8", actual="9")

    assert error.message == "image: has 9 bytes; 8 are allowed"
    assert error.metadata == {"field": "image", "limit": "8", "actual": "9"}


@pytest.mark.parametrize(("field", "path"), [("encoded", "images[3].encoded"), ("", "images[3]")])
def test_field_can_be_placed_inside_an_outer_one(field: str, path: str) -> None:
    error = ImageTooLarge(field, "is too large", limit="8").under("images[3]")

    assert type(error) is ImageTooLarge
    assert error.field == path
    assert error.message == f"{path}: is too large"
    assert error.metadata == {"field": path, "limit": "8"}


def test_overload_says_when_to_come_back_and_what_was_full() -> None:
    error = Overloaded("the queue is full", retry_after_s=0.5, cause="queue_full")

    assert error.retry_after_s == 0.5
    assert error.cause == error.metadata["cause"] == "queue_full"

"""The objects of each overlay."""

import pytest

from tests.deploy.rendering import OVERLAYS, Object, overlay


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    """All objects of one overlay after the other."""
    return overlay(request.param)

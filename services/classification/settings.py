"""Settings of the classification service: the common ones, nothing of its own yet."""

from retinue.serving.settings import ServiceSettings


class ClassificationSettings(ServiceSettings):
    """All settings of the classification service."""

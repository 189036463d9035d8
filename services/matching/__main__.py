"""`python -m services.matching`: serve until SIGTERM."""

import sys

from retinue.serving.entry import run_service
from services.matching.settings import MatchingSettings
from services.matching.work import MatchingService

SERVICE = MatchingService()


if __name__ == "__main__":
    sys.exit(run_service(SERVICE, MatchingSettings))

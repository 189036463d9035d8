"""How many users there are at each moment, as a scenario says."""

from locust import LoadTestShape

from loadtests.load.scenario import Scenario

_TAIL_S = 0.5  # the last call of an open loop is due just before the end


class ScenarioShape(LoadTestShape):
    """Locust's clock for a scenario.

    Args:
        scenario: whose stages are followed.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # locust is half typed
        self._scenario = scenario

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are to be now and how fast they come; None at the end."""
        elapsed_s = float(self.get_run_time())  # type: ignore[no-untyped-call]  # the same
        load = self._scenario.load
        if load.loop == "open":
            count = len(self._scenario.mix)
            return (count, float(count)) if elapsed_s < self._scenario.seconds + _TAIL_S else None
        for stage in load.stages:
            elapsed_s -= stage.seconds
            if elapsed_s < 0:
                users = stage.users or 1
                return users, float(users)
        return None

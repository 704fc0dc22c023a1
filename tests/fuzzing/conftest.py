"""Hypothesis profiles: the default is short and deterministic; ``long`` draws new cases each time."""

from datetime import timedelta

from hypothesis import HealthCheck, settings

_SAME = {"database": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("short", max_examples=60, derandomize=True, deadline=None, **_SAME)
settings.register_profile("long", max_examples=20_000, deadline=timedelta(seconds=10), **_SAME)
settings.load_profile("short")

"""Random files against every reader, with Hypothesis.

Each case ends in a result that a slow, independent reading confirms, or in a `UserError`; never in another exception.
The default run is short. The long one, 20,000 cases per test:

    python -m pytest tests/fuzzing --hypothesis-profile long
"""

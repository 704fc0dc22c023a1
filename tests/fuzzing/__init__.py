"""Test every reader with random files from Hypothesis.

Each case must give either the result of a slow, independent reader or a `UserError`, never another exception. The
default run is short. The long run has 20,000 cases per test:

    python -m pytest tests/fuzzing --hypothesis-profile long
"""

"""The public entry points: train, test and predict, from the command line or from Python."""

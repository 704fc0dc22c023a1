"""Images and videos that a user gives: the paths, what is at each of them or is given as an array, and its decoding."""

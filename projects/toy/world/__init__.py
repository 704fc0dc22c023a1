"""The toy world: coloured shapes on textured ground, drawn from a seed, written in the formats of the real data sets.

`vocabulary` says what exists and who names it, `drawing` and `scenes` draw it, `formats` annotates it, `writing` lays
it out on disk, `preview` shows it. Numpy, OpenCV and pycocotools only.
"""

"""The toy world: coloured shapes on textured ground, drawn from a seed, written in the formats of the real data sets.

`vocabulary` defines what exists and what each source calls it, `drawing` and `scenes` draw it, `formats` annotates it,
`writing` writes it to disk, `preview` shows it. Numpy, OpenCV and pycocotools only.
"""

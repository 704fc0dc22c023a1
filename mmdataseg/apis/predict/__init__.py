"""The command ``predict``: its arguments, its loop over images, the files that it writes."""

"""Names of output files, from the names of images."""


def without_suffix(name: str) -> str:
    """Return the name of an image, a relative path with '/', without its last suffix."""
    folder, slash, file = name.rpartition("/")
    stem, dot, _ = file.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem else file}"


class FileNames:
    """Gives each image a name for its files: that of the image without its suffix, or, if an earlier image has it, with
    the suffix: ``a.jpg`` and ``a.png`` become ``a`` and ``a_png``.

    The names depend on the order of the images only, so a run that goes on after an interruption gives the same ones.

    Attributes:
        lengthened: Name of an image -> name for its files, for those that keep the suffix.
    """

    def __init__(self) -> None:
        self._image_of: dict[str, str] = {}
        self.lengthened: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """Return the name for the files of an image, without a suffix of its own. The same image gets the same name.

        Args:
            name: Name of the image, a relative path with '/'.
        """
        short = without_suffix(name)
        given = short if self._image_of.setdefault(short, name) == name else f"{short}_{name[len(short) + 1 :]}"
        while self._image_of.setdefault(given, name) != name:
            given += "_"
        if given != short:
            self.lengthened[name] = given
        return given

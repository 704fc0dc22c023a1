"""``python -m mmdataseg train|test|predict``: works from every kind of install, with or without mim."""

from mmdataseg.apis.cli import main

if __name__ == "__main__":
    main()

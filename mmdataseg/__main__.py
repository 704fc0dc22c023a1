"""``python -m mmdataseg train|test``: works from every kind of install, with or without mim."""

from mmdataseg.apis.cli import main

if __name__ == "__main__":
    main()

"""Reads the published files of PASCAL VOC 2012 and SBD, and divides their images into sets."""

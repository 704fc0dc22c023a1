"""PASCAL VOC 2012 and SBD as they are published: their files, and the sets that are made of them."""

"""File formats: COCO panoptic and instances, label maps, JSON with its checks, the cached table, journals."""

"""File formats: COCO panoptic and instances, label maps, JSON with checks, the table cache, journals."""

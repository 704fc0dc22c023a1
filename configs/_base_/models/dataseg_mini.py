"""The toy model with more queries, for real images on a CPU."""

_base_ = ["./dataseg_small.py"]

model = dict(
    panoptic_head=dict(num_queries=50),
    criterion=dict(targets=dict(masks=dict(num_points=3136))),
)

"""Data loaders, loops and evaluators of a co-training. The leaf config sets the sources of ``dataset`` and ``metrics``,
and the ratios."""

train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="mmdataseg.single_storage_collate"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    batch_sampler=dict(type="mmdataseg.RatioBatchSampler"),
    dataset=dict(type="mmdataseg.MultiSourceDataset", split="train"),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="mmdataseg.single_storage_collate"),
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="mmdataseg.MultiSourceDataset", split="test"),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmdataseg.MultiSourceEvaluator")
test_evaluator = val_evaluator

train_cfg = dict(type="mmdataseg.ResumableTrainLoop")
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

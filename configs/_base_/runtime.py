"""Logging, checkpoints, environment."""

default_scope = "mmdet"

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="mmdataseg.WholeCheckpoints", by_epoch=False, interval=5000, save_last=True, max_keep_ckpts=3),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="mmdataseg.DrawPredictions", num_per_source=4),
    memory=dict(type="mmdataseg.KeepFreedMemory"),
)
custom_hooks = [dict(type="mmdataseg.PlotCurves")]
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    # seconds that ranks wait for each other, e.g. for the first one to save, before they end with an error
    dist_cfg=dict(backend="nccl", timeout=1800),
)
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="DetLocalVisualizer", vis_backends=vis_backends)
log_processor = dict(type="LogProcessor", window_size=50, by_epoch=False)
log_level = "INFO"
load_from = None
resume = False

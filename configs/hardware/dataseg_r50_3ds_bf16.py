"""dataseg_r50_3ds in bfloat16.

The losses, the costs and the cosines stay float32. Ours: not run; hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/hardware/dataseg_r50_3ds_bf16.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

optim_wrapper = dict(type="mmdataseg.Bfloat16OptimWrapper")

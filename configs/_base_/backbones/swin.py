"""mmdet's Swin transformers in the sizes of the published Mask2Former models (Liu et al., 2021).

T and S have windows of 7 cells, for images of 224 pixels; B and L of 12, for 384.
"""

swin_t = dict(type="SwinTransformer", embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), drop_path_rate=0.3)
swin_s = dict(swin_t, depths=(2, 2, 18, 2))
swin_b = dict(swin_s, embed_dims=128, num_heads=(4, 8, 16, 32), window_size=12)
swin_l = dict(swin_b, embed_dims=192, num_heads=(6, 12, 24, 48))

"""A config and a model of one weight, for tests of what the commands do around a training."""

TINY_PARTS = '''
"""A model of one weight, its data and its metric, outside the package."""
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.structures import InstanceData
from torch.utils.data import Dataset


@MODELS.register_module()
class TinyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, data_samples=None, mode="tensor"):
        if mode == "loss":
            return dict(loss=(self.weight - 1) ** 2)
        for sample in data_samples:
            sample.pred_instances = InstanceData(labels=torch.tensor([7]), masks=torch.ones(1, 4, 4, dtype=torch.bool))
        return data_samples


@DATASETS.register_module()
class TinyDataset(Dataset):
    metainfo = dict(classes=("a",))

    def __len__(self):
        return 3

    def __getitem__(self, index):
        sample = DetDataSample(metainfo=dict(img_id=index), gt_instances=InstanceData(labels=torch.tensor([1])))
        return dict(inputs=torch.zeros(3, 4, 4), data_samples=sample)


@METRICS.register_module()
class TinyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(seen=len(results))


@HOOKS.register_module()
class TinyVisualizationHook(Hook):
    def __init__(self, draw=False, test_out_dir=None):
        self.draw, self.test_out_dir = draw, test_out_dir

    def before_test(self, runner):
        print(f"pictures: {self.draw} {self.test_out_dir}")
'''

TINY_CONFIG = """
custom_imports = dict(imports=['tiny_parts'], allow_failed_imports=False)
default_scope = 'mmdet'
model = dict(type='TinyModel')
_loader = dict(batch_size=1, num_workers=0, collate_fn=dict(type='pseudo_collate'), dataset=dict(type='TinyDataset'))
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True), **_loader)
test_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), **_loader)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
test_cfg = dict()
test_evaluator = dict(type='TinyMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False),
    visualization=dict(type='TinyVisualizationHook'))
log_processor = dict(by_epoch=False)
"""

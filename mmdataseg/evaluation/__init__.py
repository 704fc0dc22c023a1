"""Metrics, and the evaluator that applies each source's metrics."""

import mmdataseg.quiet_mmdet  # noqa: F401
from mmdataseg.evaluation.instance import InstanceMetric
from mmdataseg.evaluation.multi_source import MultiSourceEvaluator
from mmdataseg.evaluation.panoptic_quality import PanopticQualityMetric
from mmdataseg.evaluation.semantic import SemanticMetric

__all__ = ["InstanceMetric", "MultiSourceEvaluator", "PanopticQualityMetric", "SemanticMetric"]

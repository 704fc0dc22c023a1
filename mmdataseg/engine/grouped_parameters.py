"""Few groups of parameters for the optimizer: one for each combination of settings."""

from torch import nn

from mmdataseg.engine.fused_optimizer import FusedOptimWrapperConstructor
from mmdataseg.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(FusedOptimWrapperConstructor):
    """mmengine's default constructor, but parameters with the same settings share a group. The updates are the same.

    If ``paramwise_cfg`` is set, mmengine makes a group for each parameter. torch updates one group after the other, so
    its optimizers could not update several parameters in one call.

    A training that was started with mmengine's constructor can only be resumed with it, and one that was started with
    this one only with this one: torch compares the groups.

    Args:
        optim_wrapper_cfg: As in mmengine.
        paramwise_cfg: As in mmengine.
    """

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = "", is_dcn_module: float | None = None
    ) -> None:
        """Append the groups of a module to ``params``; arguments as in mmengine.

        The groups of the model, whose ``prefix`` is empty, are merged. They are in the order of their first parameters.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if not prefix:
            params[:] = _merged(params)


def _merged(groups: list[dict]) -> list[dict]:
    """Return groups that all differ in their settings, with the parameters of the given ones."""
    merged: list[dict] = []
    for group in groups:
        same = next((other for other in merged if _settings(other) == _settings(group)), None)
        if same is None:
            merged.append({**group, "params": list(group["params"])})
        else:
            same["params"].extend(group["params"])
    return merged


def _settings(group: dict) -> dict:
    return {name: value for name, value in group.items() if name != "params"}

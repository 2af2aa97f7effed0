"""What models.py is for ResNets, for ResNeSt, Res2Net and timm's attention networks: a module of timm for netc's name and options.

A network that timm has under no name, or cannot cut short, is made of timm's own parts. `image` matters where tables of distances
have its size.
"""

import dataclasses

import timm
from timm.models import byoanet
from timm.models.byobnet import ByobNet
from timm.models.res2net import Bottle2neck
from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import ResNet

RESNEST = {"resnest14d": "resnest14d", "resnest26d": "resnest26d", "resnest50": "resnest50d", "resnest101": "resnest101e",
           "resnest200": "resnest200e", "resnest269": "resnest269e", "resnest50_fast_4s2x40d": "resnest50d_4s2x40d",
           "resnest50_fast_1s4x24d": "resnest50d_1s4x24d"}
FAST = {f"resnest50_fast_{radix}s{cardinality}x{width}d": (radix, cardinality, width)
        for radix, cardinality, width in ((1, 1, 64), (2, 1, 64), (4, 1, 64), (1, 2, 40), (2, 2, 40))}
RES2NET = {"res2net50_v1b": "res2net50d", "res2net101_v1b": "res2net101d",
           **{name: name for name in ("res2net50_26w_4s", "res2net50_48w_2s", "res2net50_14w_8s", "res2net50_26w_6s", "res2net50_26w_8s",
                                      "res2net101_26w_4s", "res2next50")}}
ATTENTION = ["botnet26t_256", "botnet50ts_256", "sebotnet33ts_256", "eca_botnext26ts_256", "halonet26t", "halonet50ts", "lambda_resnet26t",
             "lambda_resnet50ts", "lambda_resnet26rpt_256"]
NETWORKS = [*RESNEST, *FAST, *RES2NET, *ATTENTION]


def attention(name, image, block_size=None, halo=None, reach=None, **options):
    """timm's configuration, with other numbers in that of its attention layer."""
    config = byoanet.model_cfgs.get(name) or byoanet.model_cfgs[name.removesuffix("_256")]
    other = {key: value for key, value in (("block_size", block_size), ("halo_size", halo), ("r", reach)) if value}
    config = dataclasses.replace(config, self_attn_kwargs={**config.self_attn_kwargs, **other})
    return ByobNet(config, img_size=image, **options)


def build(name, image=None, **options):
    """A module; the options are timm's, `scale` and `radix` beside them."""
    if name in ATTENTION:
        options.pop("output_stride")
        tables = options.pop("tables", 256)
        return attention(name, image or tables, **options)
    block = {key: options.pop(key) for key in ("scale", "radix") if key in options}
    if name in RES2NET:
        if block:
            options["block_args"] = block
        return timm.create_model(RES2NET[name], **options)
    first = "fast" in name
    if name in FAST:
        radix, cardinality, width = FAST[name]
        options = {"layers": [3, 4, 6, 3], "cardinality": cardinality, "base_width": width, **options}
        return ResNet(ResNestBottleneck, stem_type="deep", stem_width=32, avg_down=True,
                      block_args={"radix": radix, "avd": True, "avd_first": True, **block}, **options)
    if block:
        options["block_args"] = {"radix": 2, "avd": True, "avd_first": first, **block}
    return timm.create_model(RESNEST[name], **options)

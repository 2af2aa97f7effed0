"""Samples for run.py of what more_models.py builds: networks, image sizes, and what differs from the defaults.

At 97, stages have 25, 13, 7 and 4 rows; at 72, 18, 9, 5 and 3. Attention over positions has tables for one size of image, or blocks of
positions that the maps are made of.
"""

SHORT = {"blocks": [1, 1, 2, 2]}
SAMPLE = [
    ("resnest50", 97, {"output_stride": 8, **SHORT}),
    ("resnest101", 72, {"output_stride": 16, "radix": 3, "cardinality": 2, "width": 48, **SHORT}),
    ("resnest50_fast_4s2x40d", 97, {"output_stride": 16, **SHORT}),
    ("resnest50_fast_1s4x24d", 72, {"output_stride": 8, "classes": 11, **SHORT}),
    ("res2net50_26w_4s", 97, {"output_stride": 8, "scale": 3, "width": 21, **SHORT}),
    ("res2net50_v1b", 97, {"output_stride": 16, **SHORT}),
    ("res2next50", 72, {"output_stride": 8, "scale": 5, "width": 5, "cardinality": 3, **SHORT}),
    ("botnet26t_256", 96, {"tables": 96}),
    ("botnet50ts_256", 64, {"tables": 64}),
    ("eca_botnext26ts_256", 96, {"tables": 96}),
    ("sebotnet33ts_256", 96, {"tables": 96}),
    ("halonet26t", 128, {"block_size": 4, "halo": 1}),
    ("halonet26t", 160, {"block_size": 5, "halo": 2}),
    ("lambda_resnet26t", 96, {"reach": 5}),
    ("lambda_resnet26rpt_256", 96, {"tables": 96}),
    ("aa_resnet50", 97, {"tables": 97, **SHORT}),
    ("aa_resnet50", 64, {"tables": 64, "heads": 4, "key_share": 0.4, "value_share": 0.25, **SHORT}),
    ("sasa_resnet50", 64, dict(SHORT)),
    ("sasa_resnet50", 72, {"kernel": 5, "heads": 4, **SHORT}),
    ("sasa_resnet50", 65, {"kernel": 3, "conv_stem": "true", **SHORT}),
]
BUILT = {("resnest50", 97), ("res2next50", 72), ("lambda_resnet26rpt_256", 96), ("aa_resnet50", 97), ("sasa_resnet50", 65)}

"""Sweeps that nobody measured, in the form of `netc sweep --json`: what is rare in real ones, for the report's tests."""

import json
import random

TEXT = '''# ResNeXt-50, for images of any size.
import "blocks/bottleneck.net"

net resnext50_32x4d(cardinality = 32, width = 4, blocks = [3, 4, 6, 3], classes = 1000, image = 224,
                    shorter = floor(image * 256 / 224), output_stride = 32, features = false)
{
    input pixels [3, image, image] from picture |> torchvision(image, shorter)
    let unit = bottleneck(cardinality = cardinality, width = width)  # cardinality paths of this width
    let [c2, c3, c4, c5] = pixels |> resnet_body(blocks, unit, output_stride = output_stride)
    output logits = c5 |> classifier(classes)
        labels "labels/imagenet1k.txt"
    if features { output c2, c3, c4, c5 }
}
'''
WIDTHS = {1: 64, 2: 40, 4: 24, 8: 14, 32: 4}
ERRORS = {1: 23.9, 2: 23.0, 4: 22.6, 8: 22.3, 32: 22.2}  # numbers for tests, no publication
ODD = """<b>&"quotes"</b> it's </script><!-- <script>"""


def measurement(random, median, unit, threads=None, batch=None, share=None, n=7):
    samples = sorted(median * random.uniform(0.985, 1.03) for _ in range(n))
    return {"median": samples[n // 2], "low": samples[0], "high": samples[-1], "n": n, "samples": samples, "unit": unit,
            "threads": threads, "batch": batch, "share": share, "error": None, "options": "", "machine": "Some Processor 9000"}


def failure(error):
    return {"median": None, "low": None, "high": None, "n": 0, "samples": [], "unit": None, "threads": None, "batch": None,
            "share": None, "error": error, "options": "", "machine": "Some Processor 9000"}


def training(mean, sd, n=3):
    return {"median": mean, "low": mean - sd, "high": mean + sd, "mean": mean, "sd": sd if n > 1 else None, "n": n,
            "samples": [mean] * n, "unit": "%", "threads": None, "batch": None, "share": None, "error": None, "options": "epochs=4 rate=0.15",
            "machine": "Some Processor 9000"}


def published(value, source, **more):
    return {"what": "top1_error", "value": value, "unit": "%", "source": source, "data": "ImageNet-1k", "image": 224, "hardware": None,
            "conditions": None, "how": None, "network": "resnext50_32x4d", **more}


def variant(name, parameters, macs, **more):
    return {"name": name, "parameters": {**parameters, "classes": 1000, "blocks": [3, 4, 6, 3], "features": False}, "status": "ok",
            "reason": None, "params": round(macs / 165), "macs": macs, "activations": round(macs / 300), "weights_bytes": round(macs / 41),
            "workspace_bytes": 6400000, "deviation": None, "compile": None, "latency_1": None, "latency_n": None, "throughput": None,
            "energy": None, "accuracy": None, "published": [], **more}


def left_out(name, parameters, status, reason):
    nothing = dict.fromkeys(["params", "macs", "activations", "weights_bytes", "workspace_bytes"])
    return {**variant(name, parameters, 0), **nothing, "status": status, "reason": reason}


def sweep(variants, **more):
    return {"netc": "0.1.0", "command": "netc sweep netdefs/resnext50_32x4d.net --over cardinality=1,2,4,8,32 --solve width "
            "--equal params=cardinality:1,width:64 --measure --html=report.html", "network": "resnext50_32x4d",
            "file": "netdefs/resnext50_32x4d.net", "text": TEXT, "options": "", "target": "x86-64-v4",
            "machine": {"processor": "Some Processor 9000", "cores": 2, "system": "Linux 6.1 x86_64", "threads": 2},
            "date": "2026-11-22T16:20:00Z", "over": [{"name": "cardinality", "values": ["1", "2", "4", "8", "32"]}], "solve": "width",
            "equal": {"what": "params", "reference": "cardinality:1,width:64", "value": 25557032, "tolerance": None}, "where": [],
            "changed": ["cardinality", "width"], "variants": variants, **more}


def everything():
    """Five variants with all that can be known, two cut, one failed, one whose measuring failed."""
    r = random.Random(1)
    variants = []
    for place, (cardinality, width) in enumerate(WIDTHS.items()):
        macs = 4089284608 + 40000000 * place
        one = 61 - 2.4 * place + (9 if cardinality == 8 else 0)
        variants.append(variant(
            f"cardinality={cardinality} width={width}", {"cardinality": cardinality, "width": width}, macs, deviation=(place - 2) * 0.0011,
            params=25557032 + (place - 2) * 28113, compile=measurement(r, 11 + place, "s", n=1),
            activations=11113984 + 812000 * place, workspace_bytes=6422528 + 802816 * place,
            latency_1=measurement(r, one, "ms", 1, 1, 0.77 - 0.02 * place), latency_n=measurement(r, one / 1.86, "ms", 2, 1, 0.7),
            throughput=measurement(r, 1700 / one, "images/s", 2, 16), energy=measurement(r, one / 30, "J", 2),
            accuracy=training(91.2 + 0.25 * place, 0.21),
            published=[published(ERRORS[cardinality], "A paper, table 3"), published(24.5 - place, "Another one", conditions="ten crops"),
                       published(25.0, "A paper, table 1", what="params", unit="M", data=None)][:3 if place < 2 else 1]))
    variants[1]["energy"] = failure("energy: the counters of this processor cannot be read: permission denied")
    variants[2]["published"] = []
    variants.append(left_out("cardinality=3 width=30", {"cardinality": 3, "width": 30}, "cut",
                             "netdefs/blocks/bottleneck.net:14: the width of a stage, 90, is no multiple of 4"))
    variants.append(left_out("cardinality=5 width=21", {"cardinality": 5, "width": 21}, "cut", "width > 4 * cardinality does not hold"))
    variants.append(left_out("cardinality=64 width=2", {"cardinality": 64, "width": 2}, "failed", "clang: error: no space left on device"))
    return sweep(variants)


def many(n=400):
    """More values than there are shapes; several variants that tie in both quantities."""
    r = random.Random(2)
    variants = []
    for i in range(n):
        cardinality, width = 1 + i % 20, 1 + i // 20
        macs = round(2e8 + 1.1e7 * cardinality * width * r.uniform(0.8, 1.2), -7)
        variants.append(variant(f"cardinality={cardinality} width={width}", {"cardinality": cardinality, "width": width}, int(macs),
                                latency_1=measurement(r, round(macs / 7e7 * r.uniform(0.8, 1.6)), "ms", 1, 1, r.uniform(0.3, 0.9))
                                if i % 50 else failure("it was stopped"),
                                throughput=measurement(r, 9e10 / macs * r.uniform(0.8, 1.2), "images/s", 2, 8)))
    return sweep(variants, solve=None, equal=None, where=["width > 4", "cardinality * width < 400"],
                 over=[{"name": "cardinality", "values": [str(c) for c in range(1, 21)]}, {"name": "width", "values": [str(w) for w in range(1, 21)]}])


def unmeasured():
    whole = everything()
    for v in whole["variants"]:
        for key in ["compile", "latency_1", "latency_n", "throughput", "energy", "accuracy"]:
            v[key] = None
        v["published"] = []
    return dict(whole, machine=None, date=None)


def one():
    whole = everything()
    return dict(whole, variants=whole["variants"][:1], equal=None, solve=None)


def none():
    return sweep([], machine=None, over=[], solve=None, equal=None, changed=[], text="")


def all_cut():
    return sweep([left_out(f"cardinality={c}", {"cardinality": c}, "cut", "no such width") for c in (3, 5, 6)])


def odd_names():
    """Whatever is a text holds what HTML, JSON and regular expressions mean something by."""
    r = random.Random(3)
    variants = [variant(f"stem={ODD} n={i}", {"stem": ODD, "n": i, "a.b(": "[x"}, int(1e9 + i * 1e8),
                        latency_1=measurement(r, 20 - i, "ms", 1, 1)) for i in range(3)]
    for v in variants[:2]:
        v["published"] = [published(20, ODD, data=ODD, conditions=ODD, hardware=ODD)]
    variants.append(left_out(ODD, {}, "failed", ODD))
    return sweep(variants, network=ODD, file=ODD, text=f"net x(stem = 1, n = 2) # {ODD}\n{{ {ODD} }}\n", command=ODD, where=[ODD],
                 changed=["stem", "n", "a.b("])


def trained():
    """Without a clock: accuracies and what is computed."""
    whole = everything()
    for v in whole["variants"]:
        for key in ["compile", "latency_1", "latency_n", "throughput", "energy"]:
            v[key] = None
        v["published"] = []
    whole["variants"][0]["accuracy"] = training(90.5, 0, n=1)
    return whole


PAGES = {"everything": everything, "many": many, "unmeasured": unmeasured, "one": one, "none": none, "all_cut": all_cut, "odd_names": odd_names,
         "trained": trained}


def write(folder):
    for name, make in PAGES.items():
        (folder / f"{name}.json").write_text(json.dumps(make()))

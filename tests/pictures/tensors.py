"""From pixels to the network's input: resizing against Pillow, all steps against torchvision, float bits and all."""

import functools
import io
import math
import os

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision import transforms as T
from torchvision.transforms import functional as F

from encode import exif, jpeg_with_exif
from judge import Harness, Refused, check, encoded, photo, same, some_picture

FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def image_of(pixels):
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


# ---- resize ----

def resizes(sizes):
    dice = np.random.default_rng(1)
    with Harness() as harness:
        for turn, (rows, columns, to_rows, to_columns) in enumerate(sizes):
            channels = 3 if turn % 3 else 1
            pixels = some_picture(dice, rows, columns, channels) if turn % 2 else dice.integers(
                0, 2, (rows, columns, channels)).astype(np.uint8) * 255  # black and white: bicubic overshoots
            for name, filter in FILTERS.items():
                wanted = np.asarray(image_of(pixels).resize((to_columns, to_rows), filter))
                way = f"{rows} {columns} {channels} {to_rows} {to_columns} {int(name == 'bicubic')}"
                got = harness.ask(f"resize {way}", pixels.tobytes())
                same(got, wanted.reshape(to_rows, to_columns, channels), f"resize {way}")


def test_resize_random():
    count = 10000 if os.environ.get("ALL") == "1" else 1000
    resizes(np.exp(np.random.default_rng(2).uniform(0, math.log(300), (count, 4))).astype(int).tolist())


def test_resize_sizes():
    """From and to sizes that pictures and networks have, one to one, by one pixel, one direction alone."""
    pairs = [(28, 28), (32, 32), (33, 32), (31, 32), (64, 63), (100, 256), (256, 224), (224, 256), (375, 256),
             (500, 341), (1, 40), (40, 1), (2, 3), (255, 256), (257, 256)]
    resizes([size for a, b in pairs for size in ((a, 37, b, 37), (37, a, 37, b), (a, a + 9, b, b))])


def test_resize_large():
    resizes([(1500, 2000, 256, 341), (2000, 1333, 384, 256), (90, 60, 900, 600), (5000, 3, 7, 7)])


# ---- chains of steps ----

RESIZE, CENTER_CROP, CENTER_BOX, GRAY, SWAP, NORMALIZE = range(6)


def box_of(image, share):
    """ResNeSt's ECenterCrop without its resize."""
    side = share * min(image.size)
    left, top = int(round((image.size[0] - side) / 2.0)), int(round((image.size[1] - side) / 2.0))
    return image.crop((left, top, left + side, top + side))


def crop_up(image, rows, columns):
    """Lua Torch's offset, rounded up; torchvision's padding where the crop is larger."""
    x, y = max(0, columns - image.size[0]), max(0, rows - image.size[1])
    image = F.pad(image, [x // 2, y // 2, (x + 1) // 2, (y + 1) // 2])
    left, top = math.ceil((image.size[0] - columns) / 2), math.ceil((image.size[1] - rows) / 2)
    return F.crop(image, top, left, rows, columns)


def swapped(image):
    return Image.merge("RGB", image.split()[::-1])


def as_floats(image, mean, std, range):
    """ToTensor and Normalize; range 255 leaves bytes as they are, as Caffe and Torch do."""
    x = F.to_tensor(image) if range == 1 else F.pil_to_tensor(image).to(torch.float32)
    return F.normalize(x, mean, std).numpy()


def some_step(dice, image):
    """A step by chance: what the harness is told, and the picture after it."""
    kind = int(dice.choice([RESIZE, RESIZE, CENTER_CROP, CENTER_CROP, CENTER_BOX, GRAY, SWAP]))
    fields = {"shorter": 0, "rows": 0, "columns": 0, "bicubic": 0, "up": 0, "share": 0.0}
    if kind == RESIZE:
        fields["bicubic"] = int(dice.integers(0, 2))
        filter = T.InterpolationMode.BICUBIC if fields["bicubic"] else T.InterpolationMode.BILINEAR
        if dice.integers(0, 2) and max(image.size) < 20 * min(image.size):
            fields["shorter"] = int(dice.integers(1, 90))
            image = F.resize(image, fields["shorter"], filter)
        else:
            fields["rows"], fields["columns"] = (int(v) for v in dice.integers(1, 120, 2))
            image = F.resize(image, [fields["rows"], fields["columns"]], filter)
    elif kind == CENTER_CROP:
        rows, columns, fields["up"] = (int(v) for v in dice.integers([1, 1, 0], [110, 110, 2]))
        fields["rows"], fields["columns"] = rows, columns
        image = crop_up(image, rows, columns) if fields["up"] else F.center_crop(image, [rows, columns])
    elif kind == CENTER_BOX:
        fields["share"] = float(dice.choice([dice.uniform(0.02, 1), 0.25, 0.5, 0.75, 7 / 8, 1]))  # halves to round
        image = box_of(image, fields["share"])
    elif kind == GRAY:
        image = F.to_grayscale(image)
    elif image.mode == "RGB":
        image = swapped(image)
    else:
        return None, image
    return f"step {kind} " + " ".join(map(repr, fields.values())) + " 0 0 0 0 0 0 0 0", image


def test_steps():
    dice = np.random.default_rng(5)
    refusals = 0
    with Harness() as harness:
        for turn in range(4000 if os.environ.get("ALL") == "1" else 1000):
            rows, columns = (int(v) for v in np.exp(dice.uniform(0, math.log(150), 2)))
            gray = turn % 4 == 0  # as data sets hold them: one channel that stands for three
            pixels = some_picture(dice, rows, columns, 1 if gray else 3)
            image, told = image_of(pixels).convert("RGB"), []
            for _ in range(dice.integers(0, 5)):
                line, after = some_step(dice, image)
                if line:
                    told.append(line)
                    image = after
                if min(image.size) == 0:
                    break
            planes = len(image.getbands())
            mean, std, range_ = dice.uniform(-1, 1, 3), dice.uniform(0.01, 2, 3), int(dice.choice([1, 255]))
            numbers = " ".join(map(repr, [*mean.tolist(), *std.tolist(), range_, planes]))
            shapes = [planes, image.size[1], image.size[0], *pixels.shape]
            told += [f"step {NORMALIZE} 0 0 0 0 0 0 {numbers}", "tensor " + " ".join(map(str, shapes))]
            got = harness.ask("\n".join(told), pixels.tobytes())
            if min(image.size) == 0:
                check(isinstance(got, Refused) and "center_box leaves nothing" in got, f"an empty picture: {got}")
                refusals += 1
                continue
            wanted = as_floats(image, mean[:planes].tolist(), std[:planes].tolist(), range_)
            same(got.view(np.uint32), wanted.reshape(-1).view(np.uint32), f"{rows}x{columns} {told}")
    check(refusals > 0, "no picture became empty")


# ---- the recipes of preprocess.net ----

def torchvision(size, resize, filter="bilinear", mean=IMAGENET[0], std=IMAGENET[1]):
    modes = {"bilinear": T.InterpolationMode.BILINEAR, "bicubic": T.InterpolationMode.BICUBIC}
    return T.Compose([T.Resize(resize, interpolation=modes[filter]), T.CenterCrop(size), T.ToTensor(),
                      T.Normalize(mean, std)])


def timm(size, crop, filter, **more):
    return torchvision(size, math.floor(size / crop), filter, **more)


def resnest(size, filter):
    def prepare(image):
        box = box_of(image, float(size) / (size + 32))
        return as_floats(box.resize((size, size), FILTERS[filter]), *IMAGENET, 1)

    return prepare


def lua(image):
    return as_floats(crop_up(F.resize(image, 256, T.InterpolationMode.BICUBIC), 224, 224), *IMAGENET, 1)


def caffe(image):
    return as_floats(swapped(F.center_crop(F.resize(image, 256), 224)), [104, 117, 123], [1, 1, 1], 255)


def cifar(mean, std):
    return lambda image: as_floats(image, mean, std, 255) if image.size == (32, 32) else None


# In the order of the inputs of recipes.net.
RECIPES = {
    "v1": torchvision(224, 256), "v2": torchvision(224, 232), "timm224": timm(224, 0.875, "bicubic"),
    "timm240": timm(240, 0.95, "bilinear"), "cot288": timm(288, 0.909, "bicubic"),
    "ra4": timm(256, 0.9, "bicubic", mean=[0.5] * 3, std=[0.5] * 3), "resnest50": resnest(224, "bicubic"),
    "resnest": resnest(320, "bilinear"), "lua": lua, "caffe_bgr": caffe,
    "ten": cifar([125.3, 123.0, 113.9], [63.0, 62.1, 66.7]),
    "hundred": cifar([129.3, 124.1, 112.4], [68.2, 65.4, 70.4]),
    "fashion": T.Compose([T.Grayscale(), T.Resize([28, 28]), T.ToTensor(), T.Normalize([0.2860], [0.3530])]),
}


@functools.cache
def photos():
    """Files of one photograph at many sizes, and what Pillow sees in them."""
    image = Image.open(io.BytesIO(photo()))
    sizes = [(512, 600), (333, 500), (500, 375), (256, 256), (225, 224), (224, 300), (41, 67), (3, 9), (1, 1),
             (40, 500)]
    every_byte = np.random.default_rng(9).permutation(np.arange(3072) % 256).astype(np.uint8).reshape(32, 32, 3)
    pictures = [image.resize(size, Image.LANCZOS) for size in sizes] + [Image.fromarray(every_byte)]
    files = [encoded(picture, kind) for picture in pictures for kind in ("PNG", "JPEG")]
    return [(data, Image.open(io.BytesIO(data)).convert("RGB")) for data in files]


def recipe(name, index):
    with Harness() as harness:
        for data, shown in photos():
            wanted = RECIPES[name](shown)
            got = harness.ask(f"input {index} 0 {len(data)}", data)
            if wanted is None:
                words = f"it becomes [3,{shown.size[1]},{shown.size[0]}], but the input"
                check(isinstance(got, Refused) and words in got, f"{shown.size}: {got}")
            else:
                wanted = np.ascontiguousarray(np.asarray(wanted)).reshape(-1)
                same(got.view(np.uint32), wanted.view(np.uint32), f"{name} of {shown.size} {data[:4]}")


def test_recipe_after_orientation():
    data = jpeg_with_exif(encoded(Image.open(io.BytesIO(photo())), "JPEG"), exif(6))
    shown = Image.open(io.BytesIO(data))
    with Harness() as harness:
        for index, (name, turn) in enumerate((("v1", 0), ("v2", 1))):
            turned = ImageOps.exif_transpose(shown) if turn else shown
            wanted = RECIPES[name](turned.convert("RGB")).numpy().reshape(-1)
            got = harness.ask(f"input {index} {turn} {len(data)}", data)
            same(got.view(np.uint32), wanted.view(np.uint32), name)


for index, name in enumerate(RECIPES):
    globals()[f"test_recipe_{name}"] = lambda name=name, index=index: recipe(name, index)


def test_thin():
    """What a resize would blow up beyond all limits is refused."""
    step = "step 0 256 0 0 0 0 0 0 0 0 0 0 0 0 0\nstep 5 0 0 0 0 0 0 0 0 0 1 1 1 1 3\n"
    with Harness() as harness:
        got = harness.ask(f"{step}tensor 3 9 9 900000 1 3", bytes(2700000))
        check(isinstance(got, Refused) and "256 x 230400000 pixels has a side above 1000000" in got, f"{got}")
        step = step.replace("step 0 256 0 0", "step 0 0 5 60000")
        got = harness.ask(f"{step}tensor 3 9 9 900000 1 3", bytes(2700000))
        check(isinstance(got, Refused) and "178956970" in got, f"{got}")

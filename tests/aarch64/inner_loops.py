"""Counts the instructions of the innermost loops of compiled kernels, in aarch64 assembly from clang or gcc.

What a NEON programmer writes: only multiply-adds by lane, their inputs and weights loaded into registers as whole vectors, an
address or two moved on, a branch. A tile that does not fit the registers shows as traffic with the stack; an input that is
spread over a register first shows as `dup` or `ld1r`.
"""

import re

MAIN = 32  # multiply-adds: loops with fewer are tails and the pools
# (kernels, least share of multiply-adds among a loop's instructions); the first that matches. A tile of P positions x V vectors
# needs P + 4V loads for 4PV multiply-adds by lane. More are needed, whatever is written, where every weight serves one position,
# where a channel meets the few inputs of its group, and where a pixel has few channels.
SHARES = ((r"linear_|conv1x1_\w*_1x1_", 0.54), (r"gconv\w*s\d_\w*_spread_", 0.52), (r"gconv\w*_spread_4x4x4$", 0.72),
          (r"gconv\w*_spread_", 0.58), (r"conv\d+x\d+(s\d)?_[12]to", 0.58), (r"conv\d+x\d+(s\d)?_[34]to", 0.75), (r"g?conv", 0.78))
JUMP = re.compile(r"(?:b\.?\w*|cbn?z|tbn?z)\s+(?:[^,]+,\s*)*(\.L\w+)$")


class Loop:
    def __init__(self, code):
        self.code = code
        self.multiply_adds = self.count(r"fml[as]\s")
        self.by_lane = self.count(r"fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\[\d\]$")
        self.loads = self.count(r"ld")
        self.stack = self.count(r".*\[sp\b")
        self.spread = self.count(r"(?:dup|ld1r|ins|mov\s+v)\b")

    def count(self, pattern):
        return sum(bool(re.match(pattern, line)) for line in self.code)

    @property
    def share(self):
        return self.multiply_adds / len(self.code)

    def __str__(self):
        return (f"{self.multiply_adds} multiply-adds ({self.by_lane} by lane) of {len(self.code)} instructions, {self.loads} loads, "
                f"{self.stack} on the stack, {self.spread} that spread or copy")


def functions(assembly):
    """name -> its instructions, and by label the number of the instruction behind it."""
    found, code, labels = {}, [], {}
    for line in assembly.splitlines():
        line = line.split("//")[0].strip()
        label = re.match(r"([\w.]+):$", line)
        if label and not label.group(1).startswith("."):
            code, labels = found.setdefault(label.group(1), ([], {}))
        elif label:
            labels[label.group(1)] = len(code)
        elif line and line[0] not in ".#":
            code.append(line)
    return found


def innermost(code, labels):
    """The loops that hold no loop: what lies between a label and a jump back to it."""
    spans = []
    for end, line in enumerate(code):
        jump = JUMP.match(line)
        if jump and labels.get(jump.group(1), len(code)) <= end:
            spans.append((labels[jump.group(1)], end + 1))
    return [Loop(code[a:b]) for a, b in spans if not any((c, d) != (a, b) and a <= c and d <= b for c, d in spans)]


def main_loops(assembly):
    """kernel -> its main loops. Of Winograd's convolutions those that multiply: a transform multiplies by numbers, and one that
    multiplies nothing by lane has no main loop."""
    loops = {name: [loop for loop in innermost(*parts) if loop.multiply_adds >= MAIN]
             for name, parts in functions(assembly).items() if "__neon" in name and not name.startswith("winograd")}
    for name, found in loops.items():
        if "_winograd" in name:
            loops[name] = [loop for loop in found if loop.by_lane] or found
    return {name: found for name, found in loops.items() if found}


def tile(kernel):
    """Positions and vectors of a tile of the direct kind, out of the kernel's name; none where inputs are loaded one by one."""
    match = re.search(r"__neon_(?:1x)?(\d+)x(\d+)$", kernel)
    few = re.match(r"linear|g?conv\d+x\d+(s\d)?_[1-4]to", kernel)
    return (int(match.group(1)), int(match.group(2)) // 4) if match and not few else None


def faults(kernel, loop, shares=SHARES):
    """What is wrong with a loop, as texts."""
    least = [share for pattern, share in shares if re.match(pattern, kernel)]
    if loop.stack:
        yield "goes to the stack"
    if loop.by_lane < 0.9 * loop.multiply_adds:
        yield "does not multiply by lane"
    if loop.spread > loop.multiply_adds // 50: # clang spreads one of many at the edge of a window
        yield "spreads or copies registers"
    if least and loop.share < least[0]:
        yield f"is to multiply-add in {least[0]:.0%} of its instructions"
    if tile(kernel):
        positions, vectors = tile(kernel)
        # Of the tile, or of the one position less that evens out a row's tiles; rounded up to whole steps of 4 inputs.
        most = max(-(-loop.multiply_adds // (4 * p * vectors)) * (p + 4 * vectors) for p in (positions, positions - 1) if p)
        if loop.loads > most:
            yield f"is to load at most {most} times"

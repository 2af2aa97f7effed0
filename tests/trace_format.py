"""Is it a trace that chrome://tracing and Perfetto take? The rules of the Trace Event Format ("JSON object format") that a file of
complete events and metadata has to follow, and those of the tracks: on one of them events nest or follow one another."""

from tap import Failure

METADATA = {"process_name": ("name", str), "thread_name": ("name", str), "thread_sort_index": ("sort_index", int)}
NANOSECOND = 1e-3  # of microseconds


def must(good, why):
    if not good:
        raise Failure(f"the trace: {why}")


def check_metadata(event):
    must(event["name"] in METADATA, f"unknown metadata {event}")
    key, kind = METADATA[event["name"]]
    must(isinstance(event["args"].get(key), kind), f"{event}")


def check_nesting(events):
    """In their order; an event that begins before another one ends lies inside it."""
    open_until = []
    last = -1
    for event in events:
        begin, end = event["ts"], event["ts"] + event["dur"]
        must(begin >= last - NANOSECOND / 2, f"not in order: {event}")
        last = begin
        while open_until and begin >= open_until[-1] - NANOSECOND / 2:
            open_until.pop()
        must(not open_until or end <= open_until[-1] + NANOSECOND / 2, f"crosses another event: {event}")
        if event["dur"] > 0:
            open_until.append(end)


def check(trace):
    """Raises Failure; returns the complete events."""
    must(isinstance(trace, dict) and isinstance(trace.get("traceEvents"), list), "no object with traceEvents")
    must(trace.get("displayTimeUnit") in ("ms", "ns"), "displayTimeUnit is ms or ns")
    must(isinstance(trace.get("otherData", {}), dict), "otherData is an object")
    complete, named = [], set()
    for event in trace["traceEvents"]:
        must(isinstance(event.get("name"), str) and event.get("ph") in ("X", "M"), f"{event}")
        must(isinstance(event.get("pid"), int) and isinstance(event.get("tid"), int), f"pid and tid are numbers: {event}")
        must(isinstance(event.get("args", {}), dict), f"args is an object: {event}")
        if event["ph"] == "M":
            check_metadata(event)
            named.add((event["name"], event["tid"]))
            continue
        must(isinstance(event.get("cat"), str), f"a category: {event}")
        for key in ("ts", "dur"):
            must(isinstance(event.get(key), (int, float)) and event[key] >= 0, f"{key} is a time: {event}")
        complete.append(event)
    must(any(name == "process_name" for name, _ in named), "the process has no name")
    for thread in {event["tid"] for event in complete}:
        must(("thread_name", thread) in named, f"thread {thread} has no name")
        check_nesting([event for event in complete if event["tid"] == thread])
    return complete


def check_whole(trace):
    """Tasks and waits fill the run on every thread: nothing of it is untold."""
    run = 1e3 * trace["otherData"]["run_ms"]
    for thread in range(trace["otherData"]["threads"]):
        leaves = [e for e in check(trace) if e["tid"] == thread and e["cat"] in ("task", "waiting")]
        told = sum(e["dur"] for e in leaves)
        must(abs(told - run) < 0.01, f"thread {thread} tells of {told} of {run} microseconds")
        for one, next_one in zip(leaves, leaves[1:]):
            must(abs(one["ts"] + one["dur"] - next_one["ts"]) < NANOSECOND / 2, f"a gap before {next_one}")

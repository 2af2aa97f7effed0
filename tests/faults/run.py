"""What seldom fails, failing: memory, reads, writes; builds that are interrupted, and two at once."""

import sys

from scenes import compile_all, scenes
import builds
import calls
import memory
import tap

if __name__ == "__main__":
    compile_all()
    cases = [*memory.cases(scenes), *calls.cases(scenes), *builds.cases(scenes)]
    tap.leave_out("most allocations, second errors of each call, most rounds of interruptions")
    tap.main([(f"faults/{name}", function) for name, function in cases if not sys.argv[1:] or any(word in name for word in sys.argv[1:])])

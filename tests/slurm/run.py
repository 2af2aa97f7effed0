"""netc sweep --on=slurm, on a real Slurm of two nodes (cluster.py): rows as of a local sweep, nodes that fail, variants that fail,
interrupted and killed sweeps, a queue that cannot be asked.

Each case has a cluster of its own. How fast anything is does not matter here: what is built is not optimised, and the runtime is compiled
once for all of it.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from cluster import Cluster, Missing
from tap import NETC, ROOT, SANITISED, Failure, Skip, main, run

NET = """net tiny(width = 4)
{
    assert(width > 2, "width is {width}: at least 3")
    input x [3, 8, 8]
    output y = x |> conv1: conv(width, 3) |> relu |> global_avg_pool |> flatten
}
"""
# Compiles the runtime once; variants of width 13 cannot be compiled at all.
COMPILER = """#!/bin/sh
if grep -qse '-D width=13' ./*.c; then
    echo "error: this is not to be compiled" >&2
    exit 1
fi
for last; do :; done
case "$*" in
*" -c "*/runtime/*.c*)
    kept={kept}/$(echo "$*" | sed 's|.*/runtime/||; s| .*||').o
    [ -e "$kept" ] || {{ clang-19 "$@" -O0 && cp "$last" "$kept.$$" && mv "$kept.$$" "$kept"; }}
    exec cp "$kept" "$last" ;;
esac
exec clang-19 "$@" -O0
"""
SBATCH = """#!/bin/sh
echo "$@" >> {log}
exec {sbatch} "$@"
"""
WAIT = 100  # seconds that anything may take on a busy machine
KEPT = tempfile.TemporaryDirectory(prefix="netc-slurm-runtime-")


class Site:
    """A folder that the nodes see, with a net and a database, and a cluster around it."""

    def __enter__(self):
        try:
            self.cluster = Cluster().__enter__()
        except Missing as missing:
            raise Skip(str(missing))
        self.path = self.cluster.folder / "shared"
        (self.path / "bin").mkdir(parents=True)
        (self.path / "tmp").mkdir()
        (self.path / "tiny.net").write_text(NET)
        self.program("cc", COMPILER.format(kept=KEPT.name))
        self.program("sbatch", SBATCH.format(log=self.path / "submitted", sbatch=shutil.which("sbatch")))
        self.environment = dict(self.cluster.environment, PATH=f"{self.path}/bin:{os.environ['PATH']}", NETC_CC=str(self.path / "bin/cc"),
                                TMPDIR=str(self.path / "tmp"))
        self.killed = False  # a netc was, or may have been by a Slurm that waits a second only: its temporary files stay
        return self

    def __exit__(self, kind, *_):
        left = [] if self.killed else list((self.path / "tmp").iterdir())
        self.cluster.__exit__()
        if not kind and (self.cluster.keeper.returncode or self.cluster.folder.exists()):
            raise Failure(f"the cluster's keeper ended with {self.cluster.keeper.returncode}")
        if left and not kind:
            raise Failure(f"left behind in TMPDIR: {left}")

    def program(self, name, text):
        path = self.path / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def command(self, *arguments, file="tiny.net", binary=NETC, on=True):
        words = ["--on=slurm", "--poll=1"] if on else []
        words += ["--threads=1"] if file == "tiny.net" else []
        return [str(binary), "sweep", str(file), "--measure", "--rounds=1", "--throughput=1", *words, "--db=all.db", *map(str, arguments)]

    def sweep(self, *arguments, code=0, **words):
        got = run(self.command(*arguments, **words), cwd=self.path, env=self.environment, timeout=3 * WAIT)
        if got.code != code:
            raise Failure(f"netc sweep {' '.join(map(str, arguments))} ended with {got.code}, not {code}\n{got.out}{got.err[-3000:]}")
        return got

    def start(self, *arguments):
        return subprocess.Popen(self.command(*arguments), cwd=self.path, env=dict(os.environ, **self.environment), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def submitted(self):
        """How many tasks each sbatch so far was for."""
        path = self.path / "submitted"
        return [int(n) + 1 for n in re.findall(r"--array=0-(\d+)", path.read_text())] if path.exists() else []

    def rows(self, sql, database="all.db"):
        path = self.path / database
        if not path.exists():
            return []
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:  # it is just being made
            return []
        finally:
            connection.close()

    def figures(self, database="all.db"):
        """All but the numbers that were measured."""
        return sorted(self.rows("SELECT v.key, v.defines, v.status, v.params, v.macs, v.activations, v.weights_bytes, v.workspace_bytes,"
                                " v.target, c.processor, c.cores, m.what, m.unit, m.threads, m.batch, m.options, m.compiler, m.error, s.round,"
                                " s.low IS NULL, s.share IS NULL FROM variant v LEFT JOIN measurement m ON m.variant = v.id"
                                " LEFT JOIN machine c ON c.id = m.machine LEFT JOIN sample s ON s.measurement = m.id", database), key=str)

    def statuses(self):
        return dict(self.rows("SELECT defines, status FROM variant"))

    def measured(self):
        return {defines for defines, in self.rows("SELECT v.defines FROM variant v JOIN measurement m ON m.variant = v.id"
                                                  " JOIN sample s ON s.measurement = m.id WHERE m.what = 'throughput'")}

    def queue(self):
        """{array's task: (state, node)}, of what has not ended"""
        lines = self.cluster.slurm("squeue", "--noheader", "--array", "--format=%F_%K %T %N").splitlines()
        return {words[0]: (words[1], words[2] if len(words) > 2 else "") for words in map(str.split, lines)}

    def jobs(self):
        """A dictionary for each job that Slurm remembers."""
        lines = self.cluster.slurm("scontrol", "--oneliner", "show", "job").splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if "ArrayTaskId" in line]

    def await_node(self, node):
        """Until a task runs on it: that task."""
        return until(lambda: next((task for task, where in self.queue().items() if where == ("RUNNING", node)), None), f"a task on {node}")

    def check_clean(self):
        if (self.path / "all.db.slurm").exists():
            raise Failure(f"left behind: {[path.name for path in (self.path / 'all.db.slurm').iterdir()]}")


def until(condition, what):
    end = time.monotonic() + WAIT
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"there is not {what} after {WAIT} s")
        time.sleep(0.05)


def equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: {got}, not {wanted}")


def ended(process):
    try:
        out, err = process.communicate(timeout=WAIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failure(f"it does not end in {WAIT} s")
    return process.returncode, out, err


def widths(*values):
    return {f"-D width={value}" for value in values}


# ---- cases ----

def whole_sweep():
    """Three variants of a network on two nodes: the rows of a sweep of this machine, and no node with two tasks at once."""
    with Site() as site:
        file = ROOT / "netdefs/fashion/resnext.net"
        over = ["--over", "cardinality=1,2,4", "--solve", "width", "--equal", "params=cardinality:1,width:4"]
        told = json.loads(site.sweep(*over, "--json", file=file).out)
        site.check_clean()
        equal(site.submitted(), [3], "tasks submitted")
        check_exclusive(site.jobs())
        for variant in told["variants"]:
            for what in ("compile", "latency_1", "throughput") + (("latency_n",) if os.cpu_count() > 1 else ()):
                if variant["status"] != "ok" or not variant[what] or variant[what]["n"] != 1:
                    raise Failure(f"{variant['name']}: {what} is {variant.get(what)}, {variant['reason']}")
        (site.path / "all.db").rename(site.path / "slurm.db")
        site.sweep(*over, file=file, on=False)
        equal(site.figures("slurm.db"), site.figures(), "rows of the nodes beside those of this machine")
        (site.path / "slurm.db").rename(site.path / "all.db")
        again = json.loads(site.sweep(*over, "--json", file=file).out)
        equal(again["variants"], told["variants"], "what the second run tells")
        equal(site.submitted(), [3], "tasks submitted after a second run")
        site.check_clean()


def check_exclusive(jobs):
    equal(len(jobs), 3, "jobs that Slurm remembers")
    equal({job["NodeList"] for job in jobs}, {"n1", "n2"}, "nodes that were used")
    for a in jobs:
        for b in jobs:
            if a is not b and a["NodeList"] == b["NodeList"] and a["StartTime"] < b["EndTime"] and b["StartTime"] < a["EndTime"]:
                raise Failure(f"two tasks at once on {a['NodeList']}: {a['StartTime']}..{a['EndTime']}, {b['StartTime']}..{b['EndTime']}")


def node_dies():
    """A node falls over with a task on it: Slurm requeues that when it finds out, on the other one."""
    with Site() as site:
        site.killed = True
        process = site.start("--over", "width=3,4,5")
        site.await_node("n1")
        site.cluster.kill("n1")
        code, out, err = ended(process)
        equal(code, 0, f"exit code\n{out}{err}")
        equal(site.measured(), widths(3, 4, 5), "variants measured")
        if not any(job["Restarts"] != "0" for job in site.jobs()):
            raise Failure("Slurm requeued nothing: the case is not what it says")
        site.check_clean()


def node_loses_job():
    """A node is set down, and Slurm may not requeue: netc submits what is missing."""
    with Site() as site:
        site.killed = True
        process = site.start("--over", "width=3,4", "--slurm-option=--no-requeue")
        site.await_node("n1")
        site.cluster.slurm("scontrol", "update", "NodeName=n1", "State=DOWN", "Reason=test")
        code, out, err = ended(process)
        equal(code, 0, f"exit code\n{out}{err}")
        equal(site.measured(), widths(3, 4), "variants measured")
        equal(site.submitted(), [2, 1], "tasks submitted")
        site.check_clean()


def always_lost():
    """A task that ends without a result every time."""
    with Site() as site:
        # The shell of the job, above netc build and netc sweep; once it is dead another process stands there, which is none of ours.
        shell = "p=$$; for up in 1 2 3; do p=$(cut -d' ' -f4 /proc/$p/stat); done; grep -qs slurm_script /proc/$p/cmdline && kill -9 $p"
        text = (site.path / "bin/cc").read_text()
        site.program("cc", text.replace("#!/bin/sh\n", f"#!/bin/sh\nif grep -qse '-D width=5' ./*.c; then {shell}; sleep 9; fi\n"))
        got = site.sweep("--over", "width=3,5")
        equal(site.statuses(), {"-D width=3": "ok", "-D width=5": "failed"}, "variants")
        equal(site.submitted(), [2, 1, 1], "tasks submitted")
        (reason,), = site.rows("SELECT reason FROM variant WHERE status = 'failed'")
        if not reason.startswith("3 jobs ended without a result, the last as FAILED") or reason not in got.out:
            raise Failure(f"the reason is {reason}\n{got.out}")
        site.killed = True


def variant_fails():
    """A variant that cannot be compiled is a row with its error, the others come; one that the net rules out is not submitted."""
    with Site() as site:
        got = site.sweep("--over", "width=2,3,13", binary=SANITISED)
        equal(site.submitted(), [2], "tasks submitted")
        equal(site.statuses(), {"-D width=2": "cut", "-D width=3": "ok", "-D width=13": "failed"}, "variants")
        equal(site.measured(), widths(3), "variants measured")
        if "this is not to be compiled" not in got.out:
            raise Failure(f"its reason is not told\n{got.out}")
        site.check_clean()


def interrupted():
    """Ctrl-C takes the jobs out of the queue and keeps what was merged; the same command again submits the rest."""
    with Site() as site:
        site.killed = True
        all_of_them = widths(3, 4, 5, 6)
        process = site.start("--over", "width=3..6", "--partition=first")
        until(site.measured, "a first result")
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
        equal(code, -signal.SIGINT, "how it ended")
        waiting = [task for task, (state, _) in site.queue().items() if state == "PENDING"]
        equal(waiting, [], "what still waits in the queue")
        until(lambda: not site.queue(), "an empty queue")
        first = site.measured()
        if not first or first == all_of_them:
            raise Failure(f"after Ctrl-C {first} are measured")
        kept = set(site.rows("SELECT * FROM sample"))
        site.sweep("--over", "width=3..6")
        equal(site.submitted(), [4, 4 - len(first)], "tasks submitted")
        equal(site.measured(), all_of_them, "variants measured")
        if not kept <= set(site.rows("SELECT * FROM sample")):
            raise Failure("what was measured before Ctrl-C has changed")
        site.check_clean()


def killed():
    """After SIGKILL the jobs run on; the next run takes in what ended meanwhile and waits for the others."""
    with Site() as site:
        process = site.start("--over", "width=3,4,5", "--partition=first")
        site.await_node("n1")
        process.kill()
        ended(process)
        site.killed = True
        until(lambda: list((site.path / "all.db.slurm").glob("*.db")), "a result that nobody waits for")
        site.sweep("--over", "width=3,4,5")
        equal(site.submitted(), [3], "tasks submitted")
        equal(site.measured(), widths(3, 4, 5), "variants measured")
        site.check_clean()


def cancelled_by_others():
    """A job that somebody cancels is not submitted again; a queue that does not answer for a while is asked again."""
    with Site() as site:
        site.killed = True
        site.program("squeue", f"#!/bin/sh\nn=$(cat {site.path}/asked 2> /dev/null || echo 0)\necho $((n + 1)) > {site.path}/asked\n"
                     "[ $n -gt 2 ] || { echo 'squeue: error: nobody is in' >&2; exit 1; }\n" f"exec {shutil.which('squeue')} \"$@\"\n")
        process = site.start("--over", "width=3,4", "--partition=first")
        site.cluster.slurm("scancel", site.await_node("n1"))
        code, out, err = ended(process)
        equal(code, 0, f"exit code\n{out}{err}")
        equal(site.statuses(), {"-D width=3": "failed", "-D width=4": "ok"}, "variants")
        if "ended as CANCELLED" not in out:
            raise Failure(f"that it was cancelled is not told\n{out}")
        equal(site.submitted(), [2], "tasks submitted")


def other_folder():
    """The network's file is not there on the nodes: their netc's words, a log that is kept."""
    with Site() as site:
        got = site.sweep("--over", "width=3,4", "--slurm-option=--chdir=/", code=1)
        equal(site.statuses(), {"-D width=3": "failed", "-D width=4": "failed"}, "variants")
        if "on its node netc ended with code 1: " not in got.err + got.out or "tiny.net" not in got.err:
            raise Failure(f"the node's error is not told\n{got.err}")
        equal(sorted(path.suffix for path in (site.path / "all.db.slurm").iterdir()), [".log", ".log"], "what is kept")


def refused():
    """sbatch's own words, and nothing left behind."""
    with Site() as site:
        got = site.sweep("--over", "width=3,4", "--partition=nowhere", code=1, binary=SANITISED)
        if "invalid partition specified: nowhere" not in got.err or "[sweep_slurm]" not in got.err:
            raise Failure(f"sbatch's error is not told\n{got.err}")
        site.check_clean()


def odd_names():
    """Folders whose names Slurm and shells could take for something else; the options that shape code and builds."""
    with Site() as site:
        place = site.path / "it's $HOME 5%A%%j"
        place.mkdir()
        site.path, shared = place, site.path
        (place / "tiny.net").write_text(NET)
        site.sweep("--over", "width=3", "-I", "no such 'folder'", "--jobs=1", "--winograd=off")
        equal(site.measured(), widths(3), "variants measured")
        equal(site.rows("SELECT v.options, m.options FROM variant v JOIN measurement m ON m.variant = v.id WHERE m.what = 'compile'"),
              [("--winograd=off", "jobs=1")], "options on the node")
        site.check_clean()
        got = site.sweep("--over", "width=3", "--db=\\.db", code=1, binary=SANITISED)
        if "\\.db.slurm" not in got.err or "[sweep_slurm]" not in got.err:
            raise Failure(f"a name that Slurm cannot take is not refused\n{got.err}")
        site.path = shared


def without_slurm():
    with tempfile.TemporaryDirectory(prefix="netc-slurm-none-") as folder:
        (Path(folder) / "tiny.net").write_text(NET)
        got = run([SANITISED, "sweep", "tiny.net", "--over", "width=3,4", "--measure", "--on=slurm", "--db=all.db"], cwd=folder,
                  env={"PATH": folder})
        equal(got.code, 1, "exit code")
        for word in ("sbatch", "apt-get install slurm-client", "module load", "[sweep_slurm]"):
            if word not in got.err:
                raise Failure(f"{word} is not in the message\n{got.err}")
        equal(sorted(path.name for path in Path(folder).iterdir()), ["all.db", "tiny.net"], "what is in the folder")


def usage():
    whole = ["--over=cardinality=1,2", "--measure", "--db=/tmp/nowhere/all.db", "--on=slurm"]
    for arguments, word in ((whole[:1] + whole[2:], "--measure"), (whole[:2] + whole[3:], "--db=FILE"),
                            (whole + ["--solve=width", "--equal=latency=3"], "--equal=latency"), (whole[:3] + ["--on=pbs"], "slurm"),
                            (whole[:3] + ["--partition=a"], "--on=slurm"), (whole + ["--slurm-option=time"], "--slurm-option=--time")):
        got = run([SANITISED, "sweep", "resnext50_32x4d", *arguments])
        if got.code != 2 or word not in got.err:
            raise Failure(f"{' '.join(arguments)}: code {got.code}\n{got.err}")


def nothing_left():
    """The test itself: a cluster whose test is killed goes, too."""
    code = f"import sys, time; sys.path.insert(0, {str(HERE)!r}); from cluster import Cluster\n" \
           "with Cluster() as c:\n    c.slurm('sbatch', '--output=/dev/null', '--wrap=sleep 600'); print(c.folder, flush=True); time.sleep(600)\n"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    folder = process.stdout.readline().strip()
    process.kill()
    err = process.communicate()[1]
    if not folder:
        raise Skip(err.strip().splitlines()[-1].partition("Missing: ")[2] or err)
    until(lambda: not Path(folder).exists(), "an end of the cluster")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and folder.encode() in read(entry / "cmdline") + read(entry / "environ"):
            raise Failure(f"process {entry.name} is left: {read(entry / 'cmdline')}")


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main([("usage", usage), ("no Slurm", without_slurm), ("a node dies", node_dies), ("a whole sweep", whole_sweep),
          ("a node loses its job", node_loses_job), ("a variant that fails", variant_fails), ("Ctrl-C", interrupted), ("killed", killed),
          ("cancelled by others", cancelled_by_others), ("another folder there", other_folder), ("refused", refused), ("odd names", odd_names),
          ("always lost", always_lost), ("nothing left of a killed test", nothing_left)])

"""A real Slurm on this machine for a while: munged, slurmctld and a slurmd for each of two nodes, every daemon under its own user.

    cluster.py COMMAND...     the command with SLURM_CONF of such a cluster

What would surprise: all of it lies in one folder of /tmp with ports and a key of its own, so that a Slurm that this machine may have is not
touched; no cgroups, no systemd. The daemons are children of a keeper, a process of its own that adopts whatever they detach. Once the test
that asked for them is gone, however it went, the keeper kills what is left and removes the folder; and should the keeper be killed, the
daemons go with it.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NODES = ["n1", "n2"]
START_SECONDS = 60
PACKAGES = "Debian's slurm-wlm and munge"

CONFIGURATION = """ClusterName=netc
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
{binding}
ReturnToService=1
SlurmctldPidFile={folder}/control/pid
SlurmctldLogFile={folder}/control/log
StateSaveLocation={folder}/control/state
SlurmdPidFile={folder}/%n/pid
SlurmdLogFile={folder}/%n/log
SlurmdSpoolDir={folder}/%n/spool
SlurmdParameters=config_overrides
SlurmSchedLogLevel=0
SlurmctldDebug=info
SlurmdDebug=info
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
PrologFlags=NoHold
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,bf_interval=1,sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdTimeout=4
MessageTimeout=2
MailProg=/bin/true
KillWait=1
MinJobAge=300
InactiveLimit=0
WaitTime=0
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=first Nodes=n1 MaxTime=INFINITE State=UP
"""


class Missing(Exception):
    """There can be no Slurm here, and why."""


def program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Missing(f"{name} is not installed ({PACKAGES})")
    return found


def user(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise Missing(f"there is no user {name} ({PACKAGES})")


def free_ports(n):
    listening = [socket.socket() for _ in range(n)]
    for s in listening:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in listening]
    for s in listening:
        s.close()
    return ports


def is_loopback(host):
    try:
        return socket.gethostbyname(host).startswith("127.")
    except OSError:
        return False


def local_name():
    """Daemons listen where this machine's name points to, so where that may be done they get another name than the rest of the machine."""
    if ctypes.CDLL(None).unshare(0x04000000) == 0:  # CLONE_NEWUTS
        socket.sethostname("localhost")
    return socket.gethostname()


def end_with_keeper():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


# ---- the keeper: a process of its own ----

class Keeper:
    """Makes the folder, starts the daemons and does what it is told, line by line; at the end of its input all goes."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="netc-slurm-", dir="/tmp"))
        self.daemon = {}

    def own(self, name, owner=None, mode=0o755):
        path = self.folder / name
        path.mkdir(mode=mode)
        if owner:
            os.chown(path, owner.pw_uid, owner.pw_gid)
        return path

    def start(self, name, *command, owner=None):
        words = {} if not owner else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        environment = dict(os.environ, SLURM_CONF=str(self.folder / "slurm.conf"))
        with open(self.folder / f"{name}.out", "ab") as out:
            self.daemon[name] = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/",
                                                 env=environment, start_new_session=True,
                                                 preexec_fn=end_with_keeper, **words)

    def munge(self, owner):
        place = self.own("munge", owner)
        key = place / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        os.chown(key, owner.pw_uid, owner.pw_gid)
        self.start("munged", program("munged"), "--foreground", f"--key-file={key}", f"--socket={place}/socket", f"--pid-file={place}/pid",
                   f"--log-file={place}/log", f"--seed-file={place}/seed", "--num-threads=2", owner=owner)
        wait_for((place / "socket").exists, self.ended)

    def node(self, name):
        (self.folder / name / "spool").mkdir(parents=True, exist_ok=True)
        self.start(name, program("slurmd"), "-D", "-N", name)

    def begin(self):
        if os.geteuid() != 0:
            raise Missing("Slurm's daemons run under users of their own, which takes root")
        munge, slurm = user("munge"), user("slurm")
        for name in ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel"):
            program(name)
        self.folder.chmod(0o755)
        ports = free_ports(1 + len(NODES))
        host = local_name()
        binding = "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny" if is_loopback(host) else ""
        nodes = "\n".join(f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={os.cpu_count()} State=UNKNOWN"
                          for name, port in zip(NODES, ports[1:]))
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(folder=self.folder, host=host, binding=binding, ports=ports, nodes=nodes))
        self.munge(munge)
        self.own("control", slurm)
        self.own("control/state", slurm)
        self.start("slurmctld", program("slurmctld"), "-D", "-i", owner=slurm)
        for name in NODES:
            self.node(name)

    def ended(self):
        """What the daemons that ended said last; "" if none did."""
        texts = []
        for name, daemon in self.daemon.items():
            if daemon.poll() is not None:
                for path in (self.folder / f"{name}.out", self.folder / {"slurmctld": "control", "munged": "munge"}.get(name, name) / "log"):
                    texts += [f"{name}: {line}" for line in path.read_text(errors="replace").splitlines()[-3:]] if path.exists() else []
        return " | ".join(texts)

    def obey(self, words):
        if words[0] == "kill":  # a node that falls over: the daemon and the job on it
            for pid in of_node(self.folder / words[1]):
                kill(pid)
            self.daemon[words[1]].wait()
        elif words[0] == "start":
            self.node(words[1])
        return self.ended() if words[0] == "check" else "done"

    def end(self):
        for _ in range(200):
            left = descendants(os.getpid())
            for pid in left:
                kill(pid)
            reap()
            if not left:
                break
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def descendants(root):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = list(children.get(root, []))
    for pid in found:
        found += children.get(pid, [])
    return found


def of_node(folder):
    """The processes of a node, known by what they have open: first its slurmd and slurmstepds, so that nobody is left to tell how jobs ended."""
    daemons, jobs = [], []
    for pid in descendants(os.getpid()):
        try:
            if any(os.readlink(entry.path).startswith(f"{folder}/") for entry in os.scandir(f"/proc/{pid}/fd")):
                is_daemon = os.path.basename(os.readlink(f"/proc/{pid}/exe")).startswith("slurm")
                (daemons if is_daemon else jobs).append(pid)
        except OSError:
            continue
    return daemons + jobs + [child for pid in daemons + jobs for child in descendants(pid)]


def wait_for(condition, ended):
    end = time.monotonic() + START_SECONDS
    while not condition():
        why = ended()
        if why or time.monotonic() > end:
            raise Missing(f"Slurm does not start: {why or f'it is not there after {START_SECONDS} s'}")
        time.sleep(0.05)


def keep():
    """stdin: commands; stdout: first the folder or `missing WHY`, then a line a command."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    keeper = Keeper()
    try:
        keeper.begin()
        print(keeper.folder, flush=True)
        for line in sys.stdin:
            print(keeper.obey(line.split()), flush=True)
    except Missing as missing:
        print(f"missing {missing}", flush=True)
    except BrokenPipeError:
        pass
    finally:
        keeper.end()


# ---- what tests see ----

class Cluster:
    """with Cluster() as cluster: ... cluster.slurm("sinfo"). Raises Missing where there can be none."""

    def __enter__(self):
        self.keeper = subprocess.Popen([sys.executable, __file__, "--keep"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       start_new_session=True)
        answer = self.keeper.stdout.readline().strip()
        if not answer.startswith("/"):
            self.__exit__()
            raise Missing(answer.removeprefix("missing ") or "the cluster's keeper ended")
        self.folder = Path(answer)
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        try:
            wait_for(lambda: self.states() == {"idle": len(NODES)}, lambda: self.tell("check"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.keeper.stdin.close()
        self.keeper.wait()
        self.keeper.stdout.close()

    def tell(self, *words):
        self.keeper.stdin.write(" ".join(words) + "\n")
        self.keeper.stdin.flush()
        return self.keeper.stdout.readline().strip()

    def kill(self, node):
        return self.tell("kill", node)

    def start(self, node):
        return self.tell("start", node)

    def slurm(self, *command):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=dict(os.environ, **self.environment), timeout=60)
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def states(self):
        """{state: nodes}"""
        found = {}
        for line in self.slurm("sinfo", "-h", "-p", "all", "-N", "-o", "%T").split():
            found[line] = found.get(line, 0) + 1
        return found


def main(words):
    if words == ["--keep"]:
        keep()
        return 0
    if not words:
        print("usage: cluster.py COMMAND...", file=sys.stderr)
        return 2
    try:
        with Cluster() as cluster:
            return subprocess.run(words, env=dict(os.environ, **cluster.environment)).returncode
    except Missing as missing:
        print(f"cluster.py: {missing}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

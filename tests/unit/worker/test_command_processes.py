"""A trial ends when its command ends, and so does all that the command started."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest

from builders import MAXIMIZE
from tuning_worker.exceptions import TrialInterrupted
from tuning_worker.processes import process_tree

from .runs import PrunesFrom, assert_gone, make_script_run, run_script

DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
open(sys.argv[1] + ".ready", "w")
time.sleep(600)
"""
HEADLESS = """
import ctypes, os, sys, threading, time
def work():
    while "State:\\tZ" not in open("/proc/self/status").read(): time.sleep(0.01)
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(600)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
"""
LEFT_BEHIND = {
    "a child in the background": "sleep 600 & echo $! > {pid}",
    "a child that nohup shields": "nohup sleep 600 & echo $! > {pid}",
    "a child that is deaf to SIGTERM": "(trap '' TERM; while :; do sleep 0.1; done) & echo $! > {pid}",
    "a session of its own that holds the output": "(setsid sh -c 'echo $$ > {pid}; exec sleep 600' &)",
    "a session without the output": "(setsid sh -c 'echo $$ > {pid}; exec sleep 600' > /dev/null 2>&1 &)",
    "a daemon that forked twice": "{python} -c '{daemon}' {pid}",
    "a daemon whose first thread has ended": "(setsid {python} -c '{headless}' {pid} &)",
    "a daemon with an empty environment": "(env -i setsid sh -c 'echo $$ > {pid}; exec sleep 600' &)",
    "a grandchild of a child that lives": "setsid sh -c 'sleep 600 & echo $! > {pid}; wait' &",
}


def wait_for(path: Path) -> str:
    return f"while [ ! -s {path} ]; do sleep 0.01; done"


@pytest.mark.parametrize("kind", LEFT_BEHIND)
def test_what_a_command_left_behind_is_ended_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    pid = tmp_path / "pid"
    left = LEFT_BEHIND[kind].format(pid=pid, python=sys.executable, daemon=DAEMON.strip(), headless=HEADLESS.strip())
    assert run_script(tmp_path, f"echo accuracy=0.9; {left}\n{wait_for(pid)}") == {"accuracy": 0.9}
    assert_gone(int(pid.read_text()))


def test_what_is_left_may_end_by_itself_when_told(tmp_path: Path) -> None:
    child = f"trap 'echo bye > {tmp_path}/told; exit' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done"
    run_script(tmp_path, f'(setsid sh -c "$1" &)\n{wait_for(tmp_path / "pid")}', args=[child])
    assert (tmp_path / "told").read_text() == "bye\n"


def test_processes_that_appear_while_others_are_ended_are_ended_too(tmp_path: Path) -> None:
    heir = f"echo $$ > {tmp_path}/heir; exec sleep 600"
    child = f"trap 'setsid sh -c \"{heir}\" & exit' TERM; echo > {tmp_path}/pid; while :; do sleep 0.05; done"
    run_script(tmp_path, f'(setsid sh -c "$1" &)\n{wait_for(tmp_path / "pid")}', args=[child])
    told = (tmp_path / "heir").read_text() if (tmp_path / "heir").exists() else ""
    if told.strip():  # it may have been ended before it could say who it is
        assert_gone(int(told))


def test_output_that_somebody_else_holds_open_is_not_waited_for(tmp_path: Path) -> None:
    """As a process of another user's would, or one that a service started for the command."""
    held = tmp_path / "held"
    script = f"echo accuracy=0.9; echo /proc/$$/fd/1 > {held}; while [ -e {held} ]; do sleep 0.01; done"
    holders: list[int] = []

    def hold() -> None:
        while not held.exists() or not held.read_text().endswith("\n"):
            time.sleep(0.005)
        holders.append(os.open(held.read_text().strip(), os.O_WRONLY))
        held.unlink()

    holder = threading.Thread(target=hold)
    holder.start()
    assert run_script(tmp_path, script) == {"accuracy": 0.9}
    holder.join()
    for descriptor in holders:
        os.close(descriptor)


def test_a_pruned_trial_takes_its_daemons_along(tmp_path: Path) -> None:
    script = f"""
    (setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' &)
    {wait_for(tmp_path / "pid")}
    echo '{{"accuracy": 0.1, "step": 0}}' >> "$TUNING_METRICS_FILE"
    while :; do sleep 0.05; done
    """
    with pytest.raises(optuna.TrialPruned):
        run_script(tmp_path, script, pruner=PrunesFrom(0), fields={"metrics": [MAXIMIZE]})
    assert_gone(int((tmp_path / "pid").read_text()))


@pytest.fixture
def interrupts() -> Iterator[Callable[[Path], threading.Thread]]:
    """Interrupts the running trial, as the heartbeat does, once a file is there."""

    def interrupted(_: int, __: object) -> None:
        raise TrialInterrupted("the worker must stop")

    before = signal.signal(signal.SIGUSR1, interrupted)
    main = threading.main_thread().ident
    assert main is not None

    def when(path: Path) -> threading.Thread:
        def wait() -> None:
            while not path.exists():
                time.sleep(0.005)
            signal.pthread_kill(main, signal.SIGUSR1)

        thread = threading.Thread(target=wait)
        thread.start()
        return thread

    yield when
    signal.signal(signal.SIGUSR1, before)


# An interruption may come between the opening of a file and the block that closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ends", [True, False])
def test_an_interrupted_trial_leaves_nothing_whenever_it_comes(
    tmp_path: Path, interrupts: Callable[[Path], threading.Thread], ends: bool
) -> None:
    """While the command runs, or while what it left behind is being ended."""
    child = f"trap 'echo > {tmp_path}/now' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done"
    now = tmp_path / ("now" if ends else "pid")
    thread = interrupts(now)
    rest = "exit 0" if ends else "while :; do sleep 0.05; done"
    with pytest.raises(TrialInterrupted):
        run_script(tmp_path, f'(setsid sh -c "$1" &)\n{wait_for(tmp_path / "pid")}\n{rest}', args=[child])
    thread.join()
    assert_gone(int((tmp_path / "pid").read_text()))


def test_orphans_that_end_while_the_command_runs_do_not_pile_up_as_zombies(tmp_path: Path) -> None:
    script = f"""
    (sh -c 'echo $$ > {tmp_path}/pid' &)
    {wait_for(tmp_path / "pid")}
    tries=0
    while grep -q 'State:.Z' /proc/$(cat {tmp_path}/pid)/status 2>/dev/null && [ $tries -lt 100 ]; do
      tries=$((tries + 1)); sleep 0.05
    done
    echo accuracy=$tries
    """
    assert run_script(tmp_path, script)["accuracy"] < 100


def test_other_children_of_the_worker_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        run_script(tmp_path, "sleep 600 & echo accuracy=0.9")
        assert other.poll() is None
        other.kill()


def test_another_child_that_ended_keeps_its_exit_code(tmp_path: Path) -> None:
    with subprocess.Popen(["sh", "-c", "exit 3"]) as other:
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        run_script(tmp_path, "echo accuracy=0.9")
        assert other.wait() == 3


def test_a_trial_that_runs_again_ends_what_a_killed_worker_left_of_it(tmp_path: Path) -> None:
    run, objective = make_script_run(tmp_path, "echo accuracy=0.9")
    left = {"TUNING_CHECKPOINT_DIR": str(run.make_checkpoint_dir())}
    with (
        subprocess.Popen(["sleep", "600"], env=left, start_new_session=True) as lost,
        subprocess.Popen(["sleep", "600"], env={"TUNING_CHECKPOINT_DIR": "/elsewhere"}) as other,
    ):
        objective(run)
        assert lost.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


AS_THE_FIRST_PROCESS = """
import os, sys
from tuning_worker.processes import ended_within, process_tree
with process_tree(grace=5) as tree:
    command = tree.start(["sh", "-c", "(setsid sleep 600 &); (env -i setsid sleep 600 &); sleep 0.1"], {})
    ended_within(command, 60)
left = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != 1]
sys.exit(f"left: {left}" if left or os.getpid() != 1 else 0)
"""


def test_as_the_first_process_of_a_container_it_leaves_none(tmp_path: Path) -> None:
    namespace = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine gives no pid namespace")
    (tmp_path / "worker.py").write_text(AS_THE_FIRST_PROCESS)
    ended = subprocess.run([*namespace, sys.executable, tmp_path / "worker.py"], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_command_that_cannot_be_started_leaves_nothing() -> None:
    with pytest.raises(FileNotFoundError), process_tree(grace=1) as tree:
        tree.start(["/nowhere/train"], {})


def test_a_trial_leaves_no_folder_but_its_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    run, objective = make_script_run(tmp_path, 'mkdir "$TUNING_METRICS_FILE.d"; echo > "$TUNING_CHECKPOINT_DIR/model"')
    objective(run)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert (run.make_checkpoint_dir() / "model").exists(), "the trial may be put back still"
    run.discard_checkpoints()
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_checkpoints_that_nobody_may_open_go_too(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root opens all")
    run, objective = make_script_run(
        tmp_path, 'mkdir -p "$TUNING_CHECKPOINT_DIR"/a/b/c; chmod 0 "$TUNING_CHECKPOINT_DIR"/a/b'
    )
    objective(run)
    run.discard_checkpoints()
    assert list((tmp_path / "checkpoints").iterdir()) == []

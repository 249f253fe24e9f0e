"""Run one server as a child, and end it when the test run ends. Standard library only.

`guarded.py` starts it as a script (`python -I -S guard.py …`), so it must not import our modules.
The guard is the server's parent. Only it sends signals, so none goes to a pid that was given to
another process. It has its own session: Ctrl-C at the terminal reaches the tests, not the servers.

Standard input is a socket to the owner. Each word on it is a signal to send (`SIGTERM`); the guard
answers with a line once it is sent. The owner has ended when the socket is closed, or when the
guard has another parent (a forked child of the owner may keep the socket open). Then the guard ends
the server and removes its directory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys

OWNER_CHECK_SECONDS = 0.2
"""How often the guard looks whether its owner still runs."""

END_SECONDS = 5.0
"""How long a server may take to end before it is killed. Its owner has ended, so nobody waits."""


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--owner", type=int, required=True, help="pid of the owner, our parent")
    parser.add_argument("--end", required=True, help="signal that ends the server at once")
    parser.add_argument("--remove", required=True, help="directory to remove with the owner")
    parser.add_argument("--folder", required=True, help="where the server runs")
    parser.add_argument("--user", type=int, help="uid to run the server as")
    parser.add_argument("--group", type=int, help="gid to run the server as")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def spawn(options: argparse.Namespace) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        options.command,
        stdin=subprocess.DEVNULL,
        user=options.user,
        group=options.group,
        extra_groups=None if options.user is None else [],
        cwd=options.folder,
        process_group=0,
    )


def send(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    server.send_signal(number)
    if number is signal.SIGSTOP and hasattr(os, "waitid"):
        # Wait until it is frozen. WNOWAIT leaves an exit for `poll` to find.
        os.waitid(os.P_PID, server.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def watch(server: subprocess.Popen[bytes], owner: int, child_ended: int) -> bool:
    """Pass signals on until the server has ended (True) or the owner has ended (False)."""
    while server.poll() is None:
        readable, _, _ = select.select([0, child_ended], [], [], OWNER_CHECK_SECONDS)
        if child_ended in readable:
            os.read(child_ended, 4096)
        if 0 in readable:
            words = os.read(0, 4096).decode("ascii").split()
            if not words:
                return False
            for word in words:
                send(server, signal.Signals[word])
            os.write(0, b"sent\n")
        if os.getppid() != owner:
            return False
    return True


def owner_outlives(server: subprocess.Popen[bytes], owner: int, child_ended: int) -> bool:
    """True if the server ended first. Must not fail: the server would run on without a guard."""
    try:
        return watch(server, owner, child_ended)
    except OSError:
        # The socket broke in the middle of a word: the owner has ended.
        return False


def end(server: subprocess.Popen[bytes], name: str) -> None:
    server.send_signal(signal.SIGCONT)
    server.send_signal(signal.Signals[name])
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def sweep(group: int) -> None:
    """Kill the processes that the server left: the workers of a master that was killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def main(argv: list[str]) -> int:
    """Run the server to its end. Returns its exit code, or 128 plus the signal that ended it."""
    options = parse(argv)
    child_ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    server = spawn(options)
    owner_lives = owner_outlives(server, options.owner, child_ended)
    if not owner_lives:
        end(server, options.end)
    sweep(server.pid)
    if not owner_lives:
        shutil.rmtree(options.remove, ignore_errors=True)
    code = server.returncode
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

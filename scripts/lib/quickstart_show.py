"""The visible part of scripts/quickstart: feeds the agents, watches them, kills one, and checks the results.

Exit codes: 0 every file has exactly one right result and the killed executor is back, 1 not so (with the reason).
"""

import glob
import json
import os
import signal
import socket
import subprocess
import sys
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "conf", "examples", "agents"))

from agentkit import call, options, save_file  # noqa: E402

WIDTH = 78
CHAPTERS = 14
CHAPTER_BYTES = 46 * 1024
EXECUTOR = "task-executor"


class Failed(Exception):
    pass


# -- real text ---------------------------------------------------------------------------------------------------------

def chapters(repo):
    """Real texts, cut at line ends: the licences every Debian has, then this repository's own words."""
    folders = ["/usr/share/common-licenses/*", repo + "/LICENSE*", repo + "/README.md", repo + "/**/*.md",
               repo + "/packaging/man/*", repo + "/daemon/**/*.rs", repo + "/conf/**/*.py", repo + "/scripts/*"]
    paths, seen = [], set()
    for pattern in folders:
        for path in sorted(glob.glob(pattern, recursive=True)):
            real = os.path.realpath(path)
            if real not in seen and os.path.isfile(real) and "/target/" not in real:
                seen.add(real)
                paths.append(path)
    text, title, made = [], None, 0
    size = 0
    while paths:
        for path in paths:
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    title = title or os.path.basename(path)
                    text.append(line)
                    size += len(line)
                    if size >= CHAPTER_BYTES:
                        made += 1
                        yield "%02d-%s.txt" % (made, title), "".join(text)
                        if made == CHAPTERS:
                            return
                        text, title, size = [], None, 0
        text.append("\n")  # so few texts that they come again: cut elsewhere this time


def feed(repo, spool):
    count = 0
    for name, text in chapters(repo):
        save_file(os.path.join(spool, name), text.encode())
        count += 1
    if not count:
        raise Failed("found no text to work on")
    return count


# -- looking -------------------------------------------------------------------------------------------------------------

class Node:
    """What reevectl and the coordinator say, asked again each time."""

    def __init__(self, root):
        self.root = root
        self.command = [os.path.join(root, "bin", "reevectl"), "--root", root]
        self.failing_since = None
        self.told = []

    def ask(self, *words, check=True):
        done = subprocess.run(self.command + list(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=15)
        if done.returncode and check:
            raise Failed("reevectl %s: exit %d: %s" % (" ".join(words), done.returncode, done.stderr.decode().strip()))
        return done.stdout.decode()

    def replicas(self):
        """[(name, replica as reevectl lists it, its worker)]; what was heard last if there is no answer just now."""
        try:
            workers = json.loads(self.ask("--json", "list"))
            self.failing_since = None
        except (Failed, ValueError, subprocess.TimeoutExpired) as error:
            self.failing_since = self.failing_since or time.monotonic()
            if time.monotonic() - self.failing_since > 5:
                raise Failed("reeved does not answer: %s" % error) from error
            return self.told
        workers = workers["workers"] if isinstance(workers, dict) else workers
        self.told = [("%s/%s" % (w["name"], r["index"]), r, w) for w in workers for r in w["replicas"]]
        self.told.sort(key=lambda entry: (entry[2]["name"], entry[1]["index"]))
        return self.told

    def replica(self, name):
        return next((r for n, r, _ in self.replicas() if n == name), None)


def page(root):
    """Lines of the node's own page; none if it cannot be had."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(2.0)
            sock.connect(os.path.join(root, "run/reeve/metrics.sock"))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def tasks():
    try:
        status, answer = call("run/coordinator.sock", "GET", "/tasks", timeout=1.0)
        return answer if status == 200 else []
    except (OSError, ValueError):
        return []


# -- showing -------------------------------------------------------------------------------------------------------------

class Screen:
    """On a terminal one picture redrawn in place; elsewhere a line for each change."""

    def __init__(self, total):
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and roomy()
        self.colour = self.live and not os.environ.get("NO_COLOR")
        self.fine = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        self.total = total
        self.events = []
        self.marked = None  # the replica everybody is looking at
        self.height = 0
        self.told = None
        self.began = time.monotonic()
        self.last_line = 0.0

    def paint(self, code, text):
        return "\033[%sm%s\033[0m" % (code, text) if self.colour else text

    def arrow(self):
        return "→" if self.fine else "->"

    def event(self, text, code="0"):
        head = "%6.1f s  " % (time.monotonic() - self.began)
        lines = [(" " * len(head) if row else head) + part for row, part in enumerate(wrap(text, WIDTH - len(head)))]
        self.events += [self.paint(code, line) for line in lines]
        if not self.live:
            print("\n".join(lines), flush=True)

    def frame(self, replicas, work):
        done = sum(task["state"] == "done" for task in work)
        if self.live:
            self.draw(self.picture(replicas, work, done))
        elif done != self.told and (time.monotonic() - self.last_line >= 1 or done == self.total):
            self.told, self.last_line = done, time.monotonic()
            self.event("%d of %d files done, %s" % (done, self.total, summary(replicas)))

    def picture(self, replicas, work, done):
        count = "%d of %d files done" % (done, self.total)
        full, empty, dot = ("━", "─", "●") if self.fine else ("#", "-", "*")
        filled = WIDTH * done // max(1, self.total)
        lines = [
            self.paint("1", " Reeve".ljust(WIDTH + 1 - len(count))) + count,
            " " + self.paint("32", full * filled) + self.paint("2", empty * (WIDTH - filled)), "",
            self.paint("2", "   %-17s %-11s %7s %8s  %s" % ("WORKER", "STATE", "PID", "RESTARTS", "DOING")),
        ]
        held = {task["holder"]: task for task in work if task["state"] == "leased"}
        for name, replica, worker in replicas:
            good = bool(replica["ready"])
            state = "ready" if good else str(replica["state"])
            doing = self.doing(held.get(name))
            if worker["name"] == "coordinator" and work:
                queued = sum(task["state"] == "queued" for task in work)
                doing = "%d queued, %d in work" % (queued, len(held))
            facts = "%7s %8s" % (replica["pid"] or "-", replica["restarts"])
            if name == self.marked:
                facts = self.paint("1", facts)
            lines.append(" %s %-17s %s %s  %s" % (
                self.paint("32" if good else "33", dot), name[:17],
                self.paint("0" if good else "33", state[:11].ljust(11)), facts, doing[:28]))
        return lines + [""] + self.events

    def doing(self, task):
        if not task:
            return ""
        full, empty = ("▪", "·") if self.fine else ("#", ".")
        filled = round(8 * task["progress"])
        return "%-19s %s" % (task["name"][:19], full * filled + empty * (8 - filled))

    def draw(self, lines):
        up = "\033[%dA" % self.height if self.height else ""
        sys.stdout.write(up + "".join("\r\033[2K%s\n" % line for line in lines))
        sys.stdout.flush()
        self.height = len(lines)


def roomy():
    """A picture that wraps or scrolls cannot be redrawn in place."""
    try:
        size = os.get_terminal_size()
    except OSError:
        return False
    return size.columns > WIDTH + 1 and size.lines >= 22


def wrap(text, width):
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return lines


def summary(replicas):
    ready = sum(bool(r["ready"]) for _, r, _ in replicas)
    return "%d of %d replicas ready" % (ready, len(replicas))


# -- the story -----------------------------------------------------------------------------------------------------------

class Story:
    def __init__(self, root, repo, span):
        self.node = Node(root)
        self.total = feed(repo, "spool")
        self.screen = Screen(self.total)
        self.began = time.monotonic()
        self.span = span
        # Slow machines get a grace: late is not lost, and the difference is told.
        self.limit = self.began + (span + max(10, span) if span else 180)

    def tell(self):
        self.screen.event("%d text files in the spool, a coordinator, three executors" % self.total)
        self.watch(self.all_ready, 30, "not all workers became ready")
        victim, pid = self.kill_one()
        self.heal(victim, pid)
        self.watch(self.all_done, self.limit - time.monotonic(), "not all files were done in time")
        self.check()
        self.show_runs(victim)
        self.show_numbers()

    def watch(self, condition, seconds, reason):
        """Shows what is going on until `condition(replicas, work)` answers something, and returns that."""
        end = min(time.monotonic() + seconds, self.limit)
        while True:
            replicas, work = self.node.replicas(), tasks()
            self.screen.frame(replicas, work)
            answer = condition(replicas, work)
            if answer:
                return answer
            if time.monotonic() > end:
                raise Failed("%s: %s" % (reason, self.evidence(replicas)))
            time.sleep(0.1)

    @staticmethod
    def all_ready(replicas, _work):
        return len(replicas) >= 4 and all(r["ready"] for _, r, _ in replicas)

    def all_done(self, _replicas, work):
        return len(work) >= self.total and all(task["state"] == "done" for task in work)

    def kill_one(self):
        """An executor in the middle of a file, after people had a moment to see it healthy."""
        # A quiet machine is through with all files in two seconds: no longer than it takes to read a line.
        named = time.monotonic() + 0.4
        self.watch(lambda _replicas, _work: time.monotonic() > named, 5, "nothing was seen")
        victim = EXECUTOR + "/2"
        self.screen.marked = victim
        self.screen.event("now watch %s: it is killed in a moment" % victim, "1")

        def in_the_middle(_replicas, work):
            return [task for task in work if task["state"] == "leased" and task["holder"] == victim
                    and 0.1 <= task["progress"] <= 0.8]

        task = self.watch(in_the_middle, 15, "%s was not seen at work" % victim)[0]
        self.before = self.node.replica(victim)
        pid = self.before and self.before["pid"]
        if not pid:
            raise Failed("%s has no process to kill: %s" % (victim, self.evidence(self.node.replicas())))
        os.kill(pid, signal.SIGKILL)
        self.screen.event("kill -9 %d: %s, in the middle of %s" % (pid, victim, task["name"]), "1;31")
        return victim, pid

    def heal(self, victim, pid):
        killed = time.monotonic()
        back = None
        while not (back and back["pid"] and back["pid"] != pid):
            if time.monotonic() - killed > 15:
                raise Failed("%s did not come back: %s" % (victim, self.evidence(self.node.replicas())))
            back = self.node.replica(victim)
            time.sleep(0.005)
        span = time.monotonic() - killed

        def ready(replicas, _work):
            return [r for n, r, _ in replicas if n == victim and r["ready"]]

        replica, = self.watch(ready, 15, "%s came back but did not become ready" % victim)
        arrow = self.screen.arrow()
        self.screen.event("%s is back: pid %d %s %d within %d ms" % (
            victim, pid, arrow, replica["pid"], span * 1000), "1;32")
        self.screen.event("restarts %s %s %s: %s" % (
            self.before["restarts"], arrow, replica["restarts"], self.reason(replica)))
        if replica["restarts"] <= self.before["restarts"]:
            raise Failed("%s was restarted, but its restart count did not grow" % victim)

    @staticmethod
    def reason(replica):
        last = replica["last_exit"]
        if isinstance(last, dict):
            cause, number, code = (last.get(key) for key in ("cause", "signal", "exit_code"))
            if isinstance(number, int):
                number = signal.Signals(number).name
            parts = [cause, number, None if code is None else "exit code %s" % code]
            last = ", ".join(str(part) for part in parts if part)
        return last or replica["reason"] or "no reason given"

    def check(self):
        words = [sys.executable, "-ES", os.path.join(REPO, "conf", "examples", "agents", "verify"), "--json", "yes"]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
        report = json.loads(done.stdout)
        if done.returncode or report["done"] != self.total:
            wrong = ["%s: %s" % (what, ", ".join(report[what])) for what in ("lost", "twice", "wrong", "open")
                     if report[what]]
            raise Failed("%d of %d files right; %s" % (report["done"], self.total, "; ".join(wrong)))
        late = time.monotonic() - self.began - self.span if self.span else 0
        text = "all %d files have exactly one result, and the right one" % self.total
        self.screen.event(text + (" (%d s late)" % late if late >= 1 else ""), "1;32")
        self.screen.frame(self.node.replicas(), tasks())

    def show_runs(self, victim):
        words = ["--color", "always" if self.screen.colour else "never", "--no-pager", "runs", victim]
        print("\n" + self.screen.paint("1", "$ reevectl runs " + victim))
        print(self.node.ask(*words).rstrip("\n"), flush=True)

    def show_numbers(self):
        """What the agents say of themselves, as Prometheus reads it."""
        names = ("task_throughput{", "queue_depth{")
        until = time.monotonic() + 5
        lines = []
        while not all(any(line.startswith(name) for line in lines) for name in names) and time.monotonic() < until:
            time.sleep(0.1)
            lines = [line for line in page(self.node.root) if line.startswith(names)]
        if lines:
            print("\n" + self.screen.paint("1", "$ curl --unix-socket run/reeve/metrics.sock http://local/metrics"))
            print("\n".join(lines), flush=True)

    @staticmethod
    def evidence(replicas):
        shown = ["%s %s pid %s restarts %s" % (n, r["state"], r["pid"], r["restarts"]) for n, r, _ in replicas]
        work = tasks()
        states = sorted(task["state"] for task in work)
        counts = ["%d %s" % (states.count(s), s) for s in dict.fromkeys(states)]
        return "; ".join(shown + [", ".join(counts) or "the coordinator does not answer"])


def main():
    chosen = options(sys.argv, {"root": None, "home": None, "repo": None, "for": "0"})
    os.chdir(chosen["home"])  # socket paths stay short
    try:
        Story(chosen["root"], chosen["repo"], int(chosen["for"])).tell()
    except Failed as error:
        print("quickstart: FAILED: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The example agents: nothing lost, nothing done twice, whoever is killed and whenever.

    python3 tests/examples/test_agents.py [-v] [TestCase[.test]]

Takes some ten seconds. AGENTS_SEED repeats a run of the random kills.
"""

import importlib.machinery
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGENTS = os.path.join(REPO, "conf", "examples", "agents")
sys.path.insert(0, AGENTS)

import agentkit  # noqa: E402
import ledger as ledger_module  # noqa: E402
from ledger import LIMIT, Busy, JournalBroken, Ledger, Refused  # noqa: E402
from textwork import Work  # noqa: E402


def load_program(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), os.path.join(AGENTS, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


verify = load_program("verify")


def chapter(number, sentences=60):
    """English enough to be worked on, different for every number, and about a quarter of a second of work."""
    words = ("supervisor worker lease journal token replica signal watch disk result queue claim restart reason state "
             "socket process memory kernel limit unit folder coordinator executor harvest river granite lantern").split()
    draw = random.Random(number)
    return ".\n".join(" ".join(draw.choices(words, k=14)) for _ in range(sentences)) + ".\n"


class Folder(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="agents-")
        self.addCleanup(shutil.rmtree, self.home, True)

    def path(self, *parts):
        return os.path.join(self.home, *parts)


class LedgerKeeps(Folder):
    def open(self, now=0.0):
        ledger = Ledger(self.path("state"), self.path("results"))
        ledger.open(now)
        self.addCleanup(self.close, ledger)
        return ledger

    @staticmethod
    def close(ledger):
        if ledger.owner is not None:
            os.close(ledger.owner)
        ledger.owner = None

    def reopen(self, ledger, now=0.0):
        self.close(ledger)
        return self.open(now)

    def test_a_task_goes_through(self):
        ledger = self.open()
        self.assertTrue(ledger.add("a.txt", b"one"))
        self.assertFalse(ledger.add("a.txt", b"one"), "the same file is the same task")
        task = ledger.claim("x/1", "r1", 0.0)
        self.assertTrue(ledger.hand_in(task.id, task.token, {"n": 1}))
        self.assertFalse(ledger.hand_in(task.id, task.token, {"n": 2}), "a repeated hand-in is known")
        with open(self.path("results", task.id + ".json")) as file:
            self.assertEqual(json.load(file), {"n": 1})
        self.assertIsNone(ledger.claim("x/1", "r1", 0.0))

    def test_a_changed_file_is_a_new_task(self):
        ledger = self.open()
        ledger.add("a.txt", b"one")
        self.assertTrue(ledger.add("a.txt", b"two"))

    def test_a_claim_repeated_gives_the_same_task(self):
        ledger = self.open()
        ledger.add("a", b"1")
        ledger.add("b", b"2")
        first = ledger.claim("x/1", "r1", 0.0)
        again = ledger.claim("x/1", "r1", 1.0)
        self.assertEqual((first.id, first.token, 1), (again.id, again.token, again.attempts))
        again = self.reopen(ledger).claim("x/1", "r1", 0.0)
        self.assertEqual((first.id, first.token, 1), (again.id, again.token, again.attempts))

    def test_an_old_token_is_refused(self):
        ledger = self.open()
        ledger.add("a", b"1")
        slow = ledger.claim("x/1", "r1", 0.0)
        old = slow.token
        ledger.expire(5.0)
        new = ledger.claim("x/2", "r2", 5.0)
        self.assertGreater(new.token, old)
        for act in (lambda: ledger.hand_in(new.id, old, {}), lambda: ledger.renew(new.id, old, 0.5, 5.0),
                    lambda: ledger.give_back(new.id, old, None)):
            self.assertRaises(Refused, act)
        ledger.hand_in(new.id, new.token, {"by": "x/2"})
        self.assertRaises(Refused, ledger.hand_in, new.id, old, {"by": "x/1"})
        self.assertEqual(ledger.refused, 4)

    def test_tokens_grow_across_restarts(self):
        ledger = self.open()
        ledger.add("a", b"1")
        seen = []
        for round_number in range(3):
            seen.append(ledger.claim("x/1", "r%d" % round_number, 0.0).token)
            ledger.expire(100.0)
            ledger = self.reopen(ledger)
        self.assertEqual(seen, sorted(set(seen)))

    def test_a_lease_survives_the_coordinator(self):
        ledger = self.open()
        ledger.add("a", b"1")
        task = ledger.claim("x/1", "r1", 0.0)
        ledger = self.reopen(ledger, now=1000.0)
        ledger.expire(1004.0)
        self.assertTrue(ledger.hand_in(task.id, task.token, {}), "a restart of the coordinator costs no work")

    def test_a_reappearing_claimer_frees_its_old_task(self):
        ledger = self.open()
        ledger.add("a", b"1")
        ledger.claim("x/1", "r1", 0.0)
        ledger.appear("x/1", "r1")
        self.assertEqual(ledger.count("leased"), 1)
        ledger.appear("x/1", "r2")
        self.assertEqual(ledger.count("queued"), 1)

    def test_what_was_given_back_is_resumed_and_costs_no_attempt(self):
        ledger = self.open()
        ledger.add("a", b"1")
        for number in range(LIMIT + 2):
            task = ledger.claim("x/1", "r%d" % number, 0.0)
            ledger.give_back(task.id, task.token, [0.5] * number)
        task = self.reopen(ledger).claim("x/2", "r", 0.0)
        self.assertEqual((len(task.checkpoint), task.attempts), (LIMIT + 1, 1))

    def test_a_task_that_kills_everybody_is_set_aside(self):
        ledger = self.open()
        ledger.add("a", b"1")
        for number in range(LIMIT):
            ledger.claim("x/1", "r%d" % number, 0.0)
            ledger.expire(99.0)
        self.assertIsNone(self.reopen(ledger).claim("x/1", "r", 0.0))

    def test_one_coordinator_at_a_time(self):
        self.open()
        with self.assertRaises(Busy):
            self.open()

    def test_a_torn_end_is_cut_off_and_kept(self):
        ledger = self.open()
        ledger.add("a", b"1")
        with open(ledger.path, "ab") as file:
            file.write(b'1234abcd {"what":"cla')
        ledger = self.reopen(ledger)
        self.assertEqual(ledger.count("queued"), 1)
        self.assertTrue(os.path.exists(ledger.path + ".torn"))
        self.assertEqual(self.reopen(ledger).count("queued"), 1)

    def test_a_damaged_journal_never_lends_an_old_token_again(self):
        ledger = self.open()
        for number in range(5):
            ledger.add(str(number), b"1")
            old = ledger.claim("x/%d" % number, "r", 0.0).token
        with open(ledger.path, "r+b") as file:
            file.seek(120)
            file.write(b"#")
        ledger = self.reopen(ledger)
        ledger.add("0", b"1")
        self.assertGreater(ledger.claim("x/9", "r", 0.0).token, old)

    def test_a_lost_journal_does_not_repeat_what_has_a_result(self):
        ledger = self.open()
        ledger.add("a", b"1")
        task = ledger.claim("x/1", "r", 0.0)
        ledger.hand_in(task.id, task.token, {})
        os.unlink(ledger.path)
        ledger = self.reopen(ledger)
        ledger.add("a", b"1")
        self.assertIsNone(ledger.claim("x/1", "r", 0.0))

    def test_a_full_disk_refuses_the_result_and_keeps_the_lease(self):
        ledger = self.open()
        ledger.add("a", b"1")
        task = ledger.claim("x/1", "r", 0.0)
        original, ledger_module.save_file = ledger_module.save_file, fail_with_no_space
        try:
            self.assertRaises(OSError, ledger.hand_in, task.id, task.token, {})
        finally:
            ledger_module.save_file = original
        self.assertTrue(ledger.hand_in(task.id, task.token, {}))

    def test_a_journal_that_cannot_be_written_is_fatal(self):
        ledger = self.open()
        os.close(ledger.journal)
        ledger.journal = os.open("/dev/full", os.O_WRONLY)
        self.assertRaises(JournalBroken, ledger.add, "a", b"1")

    def test_a_crash_before_or_after_any_write_loses_and_repeats_nothing(self):
        """Runs the same story again and again, dying at every durable step, each time before and after it."""
        points = 0
        for dying_at in range(1, 1000):
            shutil.rmtree(self.home)
            os.makedirs(self.home)
            points = dying_at
            if not self.story_with_crash(dying_at):
                break
        self.assertGreater(points, 25)

    def story_with_crash(self, dying_at):
        crash = Crash(dying_at)
        original_write, original_save = Ledger.write, ledger_module.save_file
        Ledger.write, ledger_module.save_file = crash.around(original_write), crash.around(original_save)
        accepted = {}
        tokens = []
        try:
            ledger = None
            for attempt in range(3):
                try:
                    ledger = Ledger(self.path("state"), self.path("results"))
                    ledger.owner = None
                    ledger.open(0.0)
                    self.story(ledger, accepted, tokens)
                    break
                except Crash.Died:
                    self.close(ledger)
            self.close(ledger)
        finally:
            Ledger.write, ledger_module.save_file = original_write, original_save
        results = verify.listing(self.path("results"))
        self.assertEqual(len(results), 3, "died at %d" % dying_at)
        for name in results:
            with open(self.path("results", name)) as file:
                kept = json.load(file)
            self.assertEqual(accepted.get(kept["id"], kept["token"]), kept["token"], "an accepted result was replaced")
        self.assertEqual(tokens, sorted(tokens))
        return crash.died

    @staticmethod
    def story(ledger, accepted, tokens):
        for name in "abc":
            ledger.add(name, name.encode())
        given = False
        for number in range(10):
            task = ledger.claim("x/1", "r", 0.0)
            if task is None:
                return
            tokens.append(task.token)
            if not given:
                given = True
                ledger.give_back(task.id, task.token, [1.0])
                continue
            identity, token = task.id, task.token
            ledger.hand_in(identity, token, {"id": identity, "token": token})
            accepted[identity] = token


class Crash:
    class Died(Exception):
        pass

    def __init__(self, dying_at):
        self.left = dying_at
        self.died = False

    def around(self, act):
        def wrapped(*arguments, **more):
            self.tick()
            answer = act(*arguments, **more)
            self.tick()
            return answer
        return wrapped

    def tick(self):
        self.left -= 1
        if self.left == 0:
            self.died = True
            raise Crash.Died


def fail_with_no_space(*_):
    raise OSError(28, "No space left on device")


class VerifyTells(Folder):
    """The judge must see what it is there to see."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("spool"))
        ledger = Ledger(self.path("state"), self.path("results"))
        ledger.open(0.0)
        self.addCleanup(lambda: os.close(ledger.owner))
        for name in ("a", "b"):
            data = b"three small words"
            agentkit.save_file(self.path("spool", name), data)
            ledger.add(name, data)
        self.ledger = ledger
        self.task = ledger.claim("x/1", "r", 0.0)
        self.result = {"file": "a", "sha256": self.task.sha256, "words": 3}

    def hand_in(self, **changes):
        self.ledger.hand_in(self.task.id, self.task.token, dict(self.result, **changes))

    def report(self):
        return {key: value for key, value in verify.examine(self.home).items() if value}

    def test_open(self):
        self.hand_in()
        self.assertEqual(self.report(), {"files": 2, "done": 1, "open": ["b"]})

    def test_lost(self):
        self.hand_in()
        os.unlink(self.ledger.result_path(self.task.id))
        self.assertEqual(self.report(), {"files": 2, "lost": ["a"], "open": ["b"]})

    def test_twice(self):
        self.hand_in()
        shutil.copy(self.ledger.result_path(self.task.id), self.path("results", "again.json"))
        self.assertEqual(self.report()["twice"], ["a"])

    def test_closed_twice(self):
        self.hand_in()
        self.ledger.write({"what": "done", "id": self.task.id, "token": 9})
        self.assertEqual(self.report()["twice"], ["a"])

    def test_wrong(self):
        self.hand_in(words=4)
        self.assertEqual(self.report()["wrong"], ["a"])


class WorkIsRepeatable(unittest.TestCase):
    def test_a_checkpoint_gives_the_same_result(self):
        text = chapter(1)
        whole = Work(text)
        while whole.step():
            pass
        first = Work(text)
        while len(first.scores) < 20:
            first.step()
        second = Work(text, json.loads(json.dumps(first.checkpoint())))
        self.assertEqual(second.resumed_at, 20)
        while second.step():
            pass
        self.assertEqual(whole.result(), second.result())

    def test_odd_texts(self):
        for text in ("", "\0\0", "a", "word " * 5000, "ä ö ü ß. " * 50, "\n" * 1000):
            work = Work(text, [1.0] * 5)
            while work.step():
                pass
            self.assertGreaterEqual(work.result()["words"], 0)


class Kit(Folder):
    def listener(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(self.path("notify"))
        sock.setblocking(False)
        self.addCleanup(sock.close)
        return sock

    def told(self, sock):
        try:
            return dict(line.split("=", 1) for line in sock.recv(4096).decode().split("\n"))
        except BlockingIOError:
            return None

    def test_notify_says_what_changed_and_not_too_often(self):
        sock = self.listener()
        notify = agentkit.Notifier({"NOTIFY_SOCKET": self.path("notify"), "WATCHDOG_USEC": "3000000"})
        self.addCleanup(notify.close)
        notify.beat("idle", 0, 10.0)
        self.assertEqual(self.told(sock), {"WATCHDOG": "1", "X_REEVE_PROGRESS": "0", "STATUS": "idle"})
        notify.beat("idle", 0, 10.5)
        self.assertIsNone(self.told(sock))
        notify.beat("working", 7, 10.6)
        self.assertEqual(self.told(sock), {"WATCHDOG": "1", "X_REEVE_PROGRESS": "7", "STATUS": "working"})
        notify.beat("working", 8, 10.7)
        self.assertIsNone(self.told(sock), "progress is gathered")
        notify.beat("working", 8, 11.7)
        self.assertEqual(self.told(sock), {"WATCHDOG": "1", "X_REEVE_PROGRESS": "8"})
        notify.beat("working", 8, 12.8)
        self.assertEqual(self.told(sock), {"WATCHDOG": "1"}, "the watchdog is fed within a third of its time")

    def test_notify_never_fails(self):
        for environ in ({}, {"NOTIFY_SOCKET": self.path("nobody")}, {"NOTIFY_SOCKET": "@" + self.home}):
            notify = agentkit.Notifier(environ)
            notify.send(READY="1")
            notify.close()

    def test_save_file_replaces_whole(self):
        agentkit.save_file(self.path("f"), b"one")
        agentkit.save_file(self.path("f"), b"two")
        self.assertEqual(os.listdir(self.home), ["f"])
        with open(self.path("f"), "rb") as file:
            self.assertEqual(file.read(), b"two")

    def test_numbers_go_to_the_socket_or_nowhere(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(self.path("statsd"))
            listener.settimeout(5)
            statsd = agentkit.Statsd({"STATSD_SOCKET": self.path("statsd")})
            self.addCleanup(statsd.close)
            statsd.send("a:1|c", "b:2|ms")
            self.assertEqual(listener.recv(100), b"a:1|c\nb:2|ms")
        for environ in ({}, {"STATSD_SOCKET": self.path("nobody")}):
            statsd = agentkit.Statsd(environ)
            self.addCleanup(statsd.close)
            statsd.send("a:1|c")


class System(Folder):
    """Coordinator and executors as real processes under a supervisor of a few lines."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("spool"))
        self.running = {}
        self.ports = {}
        self.addCleanup(self.stop_all)

    def start(self, name, lease="1.0"):
        port = self.ports.setdefault(name, free_port())
        program = "coordinator" if name == "coordinator" else "executor"
        words = [sys.executable, "-ES", os.path.join(AGENTS, program), "--port", str(port)]
        words += ["--lease", lease] if program == "coordinator" else ["--name", name]
        with open(self.path(name.replace("/", "-") + ".log"), "ab") as log:
            self.running[name] = subprocess.Popen(words, cwd=self.home, stderr=log)

    def kill(self, name, number=signal.SIGKILL):
        process = self.running[name]
        process.send_signal(number)
        return process.wait(timeout=5)

    def stop_all(self):
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def drop(self, count, sentences=60):
        for number in range(count):
            agentkit.save_file(self.path("spool", "chapter-%02d.txt" % number), chapter(number, sentences).encode())

    def get(self, name, page):
        url = "http://127.0.0.1:%d%s" % (self.ports[name], page)
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name, metric):
        for line in self.get(name, "/metrics")[1].splitlines():
            if line.startswith(metric + " "):
                return float(line.split()[1])
        raise KeyError("%s has no metric %s" % (name, metric))

    def until(self, condition, what, seconds=10.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                answer = condition()
            except (OSError, ValueError):
                answer = None
            if answer:
                return answer
            time.sleep(0.02)
        told = ""
        for name in sorted(os.listdir(self.home)):
            if name.endswith(".log"):
                with open(self.path(name)) as file:
                    told += file.read()
        raise AssertionError("%s: not within %s s\n%s" % (what, seconds, told))

    def in_work(self, name):
        tasks = json.loads(self.get("coordinator", "/tasks")[1])
        return next((t for t in tasks if t["holder"] == name), None)

    def frozen_at_work(self, name):
        """Stops the process while it has a task at hand, and says how many results there are: the coordinator knows of
        a claim before the executor does, and the task may be done by the time somebody looks."""
        while True:
            self.running[name].send_signal(signal.SIGSTOP)
            done = len(verify.listing(self.path("results")))
            if self.in_work(name):      # asked last: a result on its way is still to come, or is told as nothing at hand
                return done
            self.running[name].send_signal(signal.SIGCONT)
            time.sleep(0.01)

    def all_done(self):
        report = verify.examine(self.home)
        self.assertFalse(report["lost"] + report["twice"] + report["wrong"], report)
        return report["files"] and report["done"] == report["files"]


class NothingIsLost(System):
    def test_kills_at_random(self):
        seed = int(os.environ.get("AGENTS_SEED", random.randrange(1 << 30)))
        draw = random.Random(seed)
        self.drop(24, 45)
        names = ["coordinator", "executor/1", "executor/2", "executor/3"]
        for name in names:
            self.start(name)
        self.until(lambda: self.in_work("executor/1"), "work has begun")
        for _ in range(12):
            victim = draw.choice(names)
            self.kill(victim)
            time.sleep(draw.random() * 0.05)
            self.start(victim)
            time.sleep(draw.random() * 0.25)
        try:
            self.until(self.all_done, "all done")
        except AssertionError as error:
            raise AssertionError("AGENTS_SEED=%d: %s" % (seed, error)) from error
        with open(self.path("state", "journal.jsonl"), "rb") as file:
            kinds = [ledger_module.unseal(line)["what"] for line in file]
        self.assertNotIn("aside", kinds)

    def test_a_killed_executor_gives_its_task_to_others(self):
        """Its lease ends; it need not come back."""
        self.drop(1, 120)
        self.start("coordinator")
        self.start("executor/1")
        task = self.until(lambda: self.in_work("executor/1"), "claimed")
        self.kill("executor/1")
        self.start("executor/2")
        self.until(self.all_done, "done by the other")
        with open(self.path("results", task["id"] + ".json")) as file:
            result = json.load(file)
        self.assertEqual(result["executor"], "executor/2")
        self.assertGreater(result["token"], task["token"])

    def test_a_frozen_executor_is_fenced_off(self):
        self.drop(1, 120)
        self.start("coordinator", lease="0.4")
        self.start("executor/1")
        self.until(lambda: self.in_work("executor/1"), "claimed")
        self.running["executor/1"].send_signal(signal.SIGSTOP)
        self.start("executor/2")
        self.until(lambda: self.in_work("executor/2"), "claimed by the other")
        self.running["executor/1"].send_signal(signal.SIGCONT)
        self.until(self.all_done, "done")
        self.until(lambda: self.metric("executor/1", "tasks_dropped_total") >= 1, "the slow one was told")
        result, = verify.listing(self.path("results"))
        with open(self.path("results", result)) as file:
            self.assertEqual(json.load(file)["executor"], "executor/2")

    def test_a_killed_coordinator_costs_no_work(self):
        self.drop(1, 120)
        self.start("coordinator")
        self.start("executor/1")
        task = self.until(lambda: self.in_work("executor/1"), "claimed")
        self.kill("coordinator")
        time.sleep(0.2)
        self.start("coordinator")
        self.until(self.all_done, "done")
        with open(self.path("results", task["id"] + ".json")) as file:
            result = json.load(file)
        self.assertEqual((result["token"], result["attempt"]), (task["token"], 1))


class Manners(System):
    def test_drain_finishes_the_task_at_hand_and_takes_no_other(self):
        self.drop(8, 100)
        self.start("coordinator")
        self.start("executor/1")
        self.until(lambda: self.metric("executor/1", "active_tasks") == 1, "claimed")
        done = self.frozen_at_work("executor/1")
        self.assertLess(done, 7, "one at hand and one to leave alone")
        self.running["executor/1"].send_signal(signal.SIGUSR1)
        self.running["executor/1"].send_signal(signal.SIGCONT)
        self.until(lambda: self.metric("executor/1", "active_tasks") == 0, "drained")
        self.assertEqual(self.get("executor/1", "/ready")[0], 503)
        self.assertEqual(self.get("executor/1", "/health")[0], 200)
        self.assertEqual(len(verify.listing(self.path("results"))), done + 1)
        hook = [sys.executable, "-ES", os.path.join(AGENTS, "save-state"), "--port", str(self.ports["executor/1"])]
        said = subprocess.run(hook, stdout=subprocess.PIPE, check=True, timeout=5).stdout.decode()
        self.assertIn("'tasks_done': %d" % (done + 1), said)
        self.assertEqual(self.kill("executor/1", signal.SIGTERM), 0)
        self.start("executor/1")
        self.until(self.all_done, "done by the next run")
        self.until(lambda: self.metric("executor/1", "tasks_done_total") == 8, "totals are kept across runs")

    def test_sigterm_gives_the_task_back_with_what_is_done(self):
        def half_done():
            percent = re.search(r"(\d+) %", self.get("executor/1", "/health")[1])
            return percent and int(percent[1]) > 20

        results = self.path("results")
        self.start("coordinator", lease="60")
        for number in range(10):
            agentkit.save_file(self.path("spool", "chapter-%02d.txt" % number), chapter(number, 150).encode())
            self.start("executor/1")
            self.until(lambda: half_done() or len(verify.listing(results)) > number, "half done")
            began = time.monotonic()
            self.assertEqual(self.kill("executor/1", signal.SIGTERM), 0)
            self.assertLess(time.monotonic() - began, 1.0)
            if len(verify.listing(results)) == number:
                break
            # It was done before the signal came: once more, with another.
        self.start("executor/2")
        self.until(self.all_done, "done by the other")
        resumed = []
        for name in verify.listing(results):
            with open(os.path.join(results, name)) as file:
                result = json.load(file)
            if result["executor"] == "executor/2":
                resumed.append(result["resumed_at"])
        self.assertEqual(len(resumed), 1)
        self.assertGreater(resumed[0], 0)
        self.assertEqual(self.kill("coordinator", signal.SIGTERM), 0)

    def test_an_executor_waits_for_its_coordinator(self):
        self.start("executor/1")
        self.until(lambda: self.get("executor/1", "/health")[0] == 200, "up")
        self.assertEqual(self.get("executor/1", "/ready")[0], 503)
        self.start("coordinator")
        self.until(lambda: self.get("executor/1", "/ready")[0] == 200, "ready")

    def test_a_second_coordinator_says_try_later(self):
        self.start("coordinator")
        self.until(lambda: self.get("coordinator", "/ready")[0] == 200, "ready")
        words = [sys.executable, os.path.join(AGENTS, "coordinator"), "--port", str(free_port())]
        second = subprocess.run(words, cwd=self.home, stderr=subprocess.PIPE, timeout=5)
        self.assertEqual(second.returncode, 75)
        self.assertIn(b"another coordinator", second.stderr)

    def test_what_is_not_http_harms_nobody(self):
        self.start("coordinator")
        self.until(lambda: self.get("coordinator", "/ready")[0] == 200, "ready")
        for words in (b"\r\n\r\n", b"x" * 20000, b"GET / HTTP/1.1\r\nContent-Length: -3\r\n\r\n",
                      b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"GET /health"):
            with socket.create_connection(("127.0.0.1", self.ports["coordinator"]), timeout=2) as sock:
                try:
                    sock.sendall(words)
                    sock.shutdown(socket.SHUT_WR)
                    self.assertNotIn(b"200 OK", sock.recv(4096))
                except ConnectionError:
                    pass
        for message in (b"[]", b"{", b'{"by": 1}', b'{"id": [], "token": 1, "progress": "x"}'):
            for page in ("/claim", "/renew", "/hand-in", "/give-back"):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(self.path("run", "coordinator.sock"))
                    head = "POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (page, len(message))
                    sock.sendall(head.encode() + message)
                    self.assertIn(agentkit.read_response(sock)[0], (400, 409))
        self.assertEqual(self.get("coordinator", "/health")[0], 200)

    def test_usage(self):
        for words in (["--port"], ["--oops", "1"], []):
            ended = subprocess.run([sys.executable, os.path.join(AGENTS, "executor")] + words,
                                   cwd=self.home, stderr=subprocess.PIPE)
            self.assertEqual(ended.returncode, 64)
            self.assertIn(b"usage: executor --name VALUE --port VALUE", ended.stderr)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


if __name__ == "__main__":
    unittest.main()

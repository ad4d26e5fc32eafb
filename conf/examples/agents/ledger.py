"""Who owes what: the coordinator's memory, kept in a journal that is on the disk before anyone is told.

    queued ──claim──► leased ──hand in──► done          the result file's rename is the moment a task is done
      ▲                 │
      └─ lease over ────┤                               every claim carries a new, larger token; a hand-in with an
      └─ given back ────┤                               older token is refused, so a claimer that was only slow
      └─ holder is back ┘                               cannot overwrite what its successor did
      after LIMIT attempts: aside

No task is lost: it leaves the queue for good only when its result lies in the results folder. No task is done twice:
one coordinator at a time (lock), one result a task, and only from the holder of the newest token. A claim or a hand-in
that is repeated because the answer was lost gets the same answer again.
"""

import fcntl
import hashlib
import json
import os
import zlib

from agentkit import save_file, write_all

LIMIT = 8


class Refused(Exception):
    """The claimer must drop the task: it is no longer theirs."""


class Busy(Exception):
    """Another coordinator owns this folder."""


class JournalBroken(Exception):
    """The journal cannot be written. Better no coordinator than two truths: the next one starts from the disk."""


class Task:
    __slots__ = ("id", "name", "sha256", "size", "state", "token", "holder", "run", "until", "attempts", "checkpoint",
                 "progress")

    def __init__(self, identity, name, sha256, size):
        self.id, self.name, self.sha256, self.size = identity, name, sha256, size
        self.state = "queued"
        self.token = 0
        self.holder = self.run = self.checkpoint = None
        self.until = self.progress = 0.0
        self.attempts = 0

    def show(self):
        return {"id": self.id, "name": self.name, "state": self.state, "holder": self.holder, "token": self.token,
                "attempts": self.attempts, "progress": self.progress}


class Ledger:
    def __init__(self, folder, results, lease=5.0):
        self.folder, self.results, self.lease = folder, results, lease
        self.tasks = {}
        self.token = 0
        self.returned = 0
        self.refused = 0
        self.journal = None
        self.path = os.path.join(folder, "journal.jsonl")

    # -- opening -----------------------------------------------------------------------------------------------------

    def open(self, now):
        for folder in (self.folder, self.results):
            os.makedirs(folder, exist_ok=True)
        self.owner = os.open(os.path.join(self.folder, "owner"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(self.folder) from None
        self.replay(now)
        self.reconcile()
        self.compact()

    def replay(self, now):
        """Reads the journal up to the first torn line; a torn end is what a crash in the middle of a write leaves."""
        try:
            with open(self.path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        good = 0
        for line in data.splitlines(keepends=True):
            record = unseal(line)
            if record is None:
                break
            good += len(line)
            self.apply(record, now)
        if good < len(data):
            save_file(self.path + ".torn", data[good:])
            self.token += 1 << 20  # if more than a torn end is gone: still larger than any token ever lent

    def reconcile(self):
        """A result that was renamed into place counts as done even if the crash came before the journal's line."""
        for name in os.listdir(self.results):
            if name.startswith("."):
                os.unlink(os.path.join(self.results, name))
                continue
            task = self.tasks.get(name[:-len(".json")]) if name.endswith(".json") else None
            if task and task.state != "done":
                task.state, task.holder, task.checkpoint = "done", None, None

    def compact(self):
        """One line a task, so that the journal grows with the tasks and not with the restarts."""
        lines = [seal({"what": "token", "token": self.token})]
        for task in self.tasks.values():
            record = {key: getattr(task, key) for key in Task.__slots__ if key not in ("until", "progress")}
            lines.append(seal(dict(record, what="task")))
        save_file(self.path, b"".join(lines))
        self.journal = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def write(self, record):
        """On the disk when this returns."""
        try:
            write_all(self.journal, seal(record))
            os.fdatasync(self.journal)
        except OSError as error:
            raise JournalBroken("%s: %s" % (self.path, error.strerror)) from error

    def apply(self, record, now):
        what = record["what"]
        if what == "token":
            self.token = record["token"]
        elif what == "task":
            task = Task(record["id"], record["name"], record["sha256"], record["size"])
            for key in ("state", "token", "holder", "run", "attempts", "checkpoint"):
                setattr(task, key, record.get(key, getattr(task, key)))
            task.until = now + self.lease
            self.tasks[task.id] = task
        else:
            task = self.tasks[record["id"]]
            if what == "claim":
                self.token = record["token"]
                self.lend(task, record["by"], record["run"], record["token"], now)
            elif what == "back":
                self.put_back(task, record["checkpoint"], record["attempts"])
            elif what == "aside":
                task.state, task.holder = "aside", None
            elif what == "done":
                task.state, task.holder, task.checkpoint = "done", None, None

    # -- tasks come in and go out --------------------------------------------------------------------------------------

    def add(self, name, data):
        """A task is a file name and its content: the same file dropped again is the same task, a changed one is new."""
        sha256 = hashlib.sha256(data).hexdigest()
        identity = "%s.%s" % (name, sha256[:12])
        if identity in self.tasks:
            return False
        task = Task(identity, name, sha256, len(data))
        if os.path.exists(self.result_path(identity)):
            task.state = "done"  # the journal was lost, the result was not
        self.write({"what": "task", "id": identity, "name": name, "sha256": sha256, "size": task.size,
                    "state": task.state})
        self.tasks[identity] = task
        return True

    def claim(self, by, run, now):
        """The task this run of `by` already holds, else the oldest queued one, else None."""
        held = [t for t in self.tasks.values() if t.state == "leased" and t.holder == by and t.run == run]
        task = held[0] if held else next((t for t in self.tasks.values() if t.state == "queued"), None)
        if task is None:
            return None
        if not held:
            token = self.token + 1
            self.write({"what": "claim", "id": task.id, "token": token, "by": by, "run": run})
            self.token = token
            self.lend(task, by, run, token, now)
        task.until = now + self.lease
        return task

    def lend(self, task, by, run, token, now):
        task.state, task.holder, task.run, task.token = "leased", by, run, token
        task.attempts += 1
        task.until = now + self.lease

    def renew(self, identity, token, progress, now):
        task = self.held(identity, token)
        task.until = now + self.lease
        task.progress = progress

    def give_back(self, identity, token, checkpoint):
        task = self.held(identity, token)
        self.back(task, checkpoint, task.attempts - 1)  # stopping politely is not an attempt that failed

    def appear(self, by, run):
        """A new run of `by` is here, so an older one is gone: what it held goes back to the queue at once."""
        for task in self.leased():
            if task.holder == by and task.run != run:
                self.back(task, task.checkpoint, task.attempts)

    def expire(self, now):
        for task in self.leased():
            if task.until <= now:
                self.back(task, task.checkpoint, task.attempts)

    def back(self, task, checkpoint, attempts):
        self.returned += 1
        if attempts >= LIMIT:
            self.write({"what": "aside", "id": task.id})
            task.state, task.holder = "aside", None
            return
        self.write({"what": "back", "id": task.id, "checkpoint": checkpoint, "attempts": attempts})
        self.put_back(task, checkpoint, attempts)

    def put_back(self, task, checkpoint, attempts):
        task.state, task.holder, task.run = "queued", None, None
        task.checkpoint, task.attempts, task.progress = checkpoint, attempts, 0.0

    def hand_in(self, identity, token, result):
        """Writes the result and closes the task. True if this was the first time, False for a repeated hand-in."""
        task = self.tasks.get(identity)
        if task and task.state == "done" and task.token == token:
            return False
        task = self.held(identity, token)
        data = json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        scratch = os.path.join(self.results, ".%s.new" % identity)
        save_file(self.result_path(identity), data, scratch)
        self.write({"what": "done", "id": identity, "token": token})
        task.state, task.holder, task.checkpoint, task.progress = "done", None, None, 1.0
        return True

    def result_path(self, identity):
        return os.path.join(self.results, identity + ".json")

    def held(self, identity, token):
        task = self.tasks.get(identity)
        if task is None or task.state != "leased" or task.token != token:
            self.refused += 1
            raise Refused("%s is not lent under token %s" % (identity, token))
        return task

    # -- looking -------------------------------------------------------------------------------------------------------

    def leased(self):
        return [task for task in self.tasks.values() if task.state == "leased"]

    def count(self, state):
        return sum(task.state == state for task in self.tasks.values())

    def deadline(self):
        return min((task.until for task in self.leased()), default=None)


def seal(record):
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return b"%08x %s\n" % (zlib.crc32(text.encode()), text.encode())


def unseal(line):
    """The record, or None if the line is torn or damaged."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    return json.loads(text)

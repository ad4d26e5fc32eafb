/* The floor: the least a supervisor can do. Keeps N workers running and does nothing else: no log, no limit, no policy.
 *
 *     floor N PROGRAM SOCKET               vfork + execve, pidfd_open
 *     floor -c CGROUP N PROGRAM SOCKET     clone3 into a cgroup v2 of its own for each worker, below CGROUP
 *
 * Starts `PROGRAM SOCKET INDEX` for 1..N, starts again what ends, and on SIGTERM ends all and itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct worker {
    pid_t pid;
    int pidfd;
    int cgroup; /* -1 without */
    char index[12];
};

static struct worker *workers;
static int count, poller;
static char *program, *target;
extern char **environ;

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static pid_t spawn_plain(struct worker *w, char **argv)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execve(program, argv, environ);
        _exit(127);
    }
    if (pid > 0 && (w->pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
        die("pidfd_open");
    return pid;
}

/* Like fork, not vfork: a shared stack would need a clone3 written in assembly, and this process is small. */
static pid_t spawn_in_cgroup(struct worker *w, char **argv)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)w->cgroup,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        execve(program, argv, environ);
        _exit(127);
    }
    w->pidfd = pidfd;
    return pid;
}

static void start(struct worker *w)
{
    char *argv[] = { program, target, w->index, NULL };
    w->pid = w->cgroup < 0 ? spawn_plain(w, argv) : spawn_in_cgroup(w, argv);
    if (w->pid < 0)
        die("spawn");
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = w };
    if (epoll_ctl(poller, EPOLL_CTL_ADD, w->pidfd, &event) < 0)
        die("epoll_ctl");
}

/* Out of the poller before close: a vfork child may still hold a copy, which would keep the entry alive. */
static int reap(struct worker *w)
{
    siginfo_t info = { 0 };
    if (waitid((idtype_t)P_PIDFD, (id_t)w->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return 0;
    epoll_ctl(poller, EPOLL_CTL_DEL, w->pidfd, NULL);
    close(w->pidfd);
    w->pid = 0;
    return 1;
}

static int open_cgroup(const char *parent, const char *index)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/w%s", parent, index);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        die(path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die(path);
    return fd;
}

static void remove_cgroups(const char *parent)
{
    char path[4096];
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/w%s", parent, workers[i].index);
        rmdir(path);
    }
}

int main(int argc, char **argv)
{
    const char *cgroup = NULL;
    if (argc == 6 && strcmp(argv[1], "-c") == 0) {
        cgroup = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc != 4 || (count = atoi(argv[1])) < 1) {
        fprintf(stderr, "usage: floor [-c CGROUP] N PROGRAM SOCKET\n");
        return 64;
    }
    program = argv[2];
    target = argv[3];

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL); /* workers inherit this; the stamp worker unblocks it */
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    poller = epoll_create1(EPOLL_CLOEXEC);
    workers = calloc((size_t)count, sizeof *workers);
    if (signals < 0 || poller < 0 || !workers)
        die("set up");
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(poller, EPOLL_CTL_ADD, signals, &event);

    for (int i = 0; i < count; i++) {
        snprintf(workers[i].index, sizeof workers[i].index, "%d", i + 1);
        workers[i].cgroup = cgroup ? open_cgroup(cgroup, workers[i].index) : -1;
        start(&workers[i]);
    }
    int stopping = 0, alive = count;
    struct epoll_event ready[64];
    while (!stopping || alive > 0) {
        int n = epoll_wait(poller, ready, 64, -1);
        for (int i = 0; i < n; i++) {
            struct worker *w = ready[i].data.ptr;
            if (w == NULL) {
                struct signalfd_siginfo info;
                if (read(signals, &info, sizeof info) < 0 || stopping)
                    continue;
                stopping = 1;
                for (int j = 0; j < count; j++)
                    if (workers[j].pid > 0)
                        syscall(SYS_pidfd_send_signal, workers[j].pidfd, SIGTERM, NULL, 0);
            } else if (w->pid > 0 && reap(w)) {
                if (stopping)
                    alive--;
                else
                    start(w);
            }
        }
    }
    if (cgroup)
        remove_cgroups(cgroup);
    return 0;
}

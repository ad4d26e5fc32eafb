/* The bare reader: the least a scrape of this host can cost. Reads the files, writes every number in them as a line of
 * text, and decides nothing.
 *
 *     reader PORT [CGROUP...]
 *
 * Answers each request on 127.0.0.1:PORT with what the files say then; connections are kept, one at a time. Files stay
 * open; one that is not there is left out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const host[] = {
    "/proc/stat", "/proc/meminfo", "/proc/diskstats", "/proc/net/dev", "/proc/loadavg",
    "/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io", NULL,
};
static const char *const group[] = {
    "cpu.stat", "cpu.max", "memory.current", "memory.peak", "memory.swap.current", "memory.max", "memory.high",
    "memory.stat", "memory.events", "io.stat", "pids.current", "pids.max", "pids.events", "cpu.pressure",
    "memory.pressure", "io.pressure", NULL,
};

static struct { int fd; char name[48]; } files[1 << 16];
static int count;
static char text[8 << 20], page[8 << 20];

static void add(const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || count == 1 << 16)
        return;
    files[count].fd = fd;
    snprintf(files[count].name, sizeof files[count].name, "%s", name);
    count++;
}

/* Every number, with its line and its place in the line. */
static size_t numbers(const char *name, const char *from, size_t length, char *to)
{
    const char *end = from + length;
    char *at = to;
    int line = 0, place = 0;
    while (from < end) {
        if (*from == '\n') {
            line++, place = 0, from++;
        } else if (isdigit((unsigned char)*from) && (from[-1] == ' ' || from[-1] == '=' || from[-1] == '\n')) {
            const char *number = from;
            while (from < end && (isdigit((unsigned char)*from) || *from == '.'))
                from++;
            at += sprintf(at, "%s{line=\"%d\",place=\"%d\"} %.*s\n", name, line, place++, (int)(from - number), number);
        } else {
            from++;
        }
    }
    return (size_t)(at - to);
}

static size_t scrape(void)
{
    size_t length = 0;
    text[0] = '\n';
    for (int i = 0; i < count; i++) {
        size_t have = 0;
        ssize_t n;
        while (have < sizeof text - 2 && (n = pread(files[i].fd, text + 1 + have, sizeof text - 2 - have, (off_t)have)) > 0)
            have += (size_t)n;
        if (length < sizeof page - (2 << 20))
            length += numbers(files[i].name, text + 1, have, page + length);
    }
    return length;
}

static int all(int fd, const char *from, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, from, length);
        if (n <= 0)
            return 0;
        from += n, length -= (size_t)n;
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: reader PORT [CGROUP...]\n");
        return 64;
    }
    for (int i = 0; host[i]; i++) {
        char name[48];
        snprintf(name, sizeof name, "host_%d", i);
        add(host[i], name);
    }
    for (int g = 2; g < argc; g++)
        for (int i = 0; group[i]; i++) {
            char path[4096], name[48];
            snprintf(path, sizeof path, "%s/%s", argv[g], group[i]);
            snprintf(name, sizeof name, "worker_%d_%d", g - 2, i);
            add(path, name);
        }
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16) < 0) {
        perror("reader");
        return 1;
    }
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer < 0)
            continue;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        char request[4096];
        while (read(peer, request, sizeof request) > 0) {
            char head[128];
            size_t length = scrape();
            int n = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", length);
            if (!all(peer, head, (size_t)n) || !all(peer, page, length))
                break;
        }
        close(peer);
    }
}

/* The worker of the benchmark: says at once, in main(), when it got there.
 *
 *     stamp SOCKET INDEX
 *
 * One datagram (index, pid, CLOCK_MONOTONIC in ns) to the unix socket SOCKET; then it sleeps until SIGTERM. The clock is
 * read before anything else, so neither the sending nor the receiving is part of any figure.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void leave(int number)
{
    (void)number;
    _exit(0);
}

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sigset_t none;
    sigemptyset(&none);
    signal(SIGTERM, leave);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (argc != 3)
        return 64;
    struct {
        uint32_t index, pid;
        uint64_t ns;
    } message = { (uint32_t)atoi(argv[2]), (uint32_t)getpid(),
                  (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(argv[1]) >= sizeof address.sun_path)
        return 64;
    strcpy(address.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, &message, sizeof message, 0, (struct sockaddr *)&address, sizeof address) < 0)
        return 74;
    close(fd);
    for (;;)
        pause();
}

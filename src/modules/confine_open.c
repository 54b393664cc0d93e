/* SPDX-License-Identifier: Apache-2.0 */
/* What a confined process may open: one file, which it has open already. Libraries open files by their names,
 * and a filter of system calls can't read names; so it raises SIGSYS, and the handler does what the name is
 * worth. A library that was taken over gains nothing by another handler: the filter stays. */
#include "modules/confine.h"

#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static struct {
    const char *name;
    int input;
} sole;

static bool is_input(const char *path) {
    return strncmp(path, sole.name, strlen(sole.name)) == 0;
}

/* A descriptor of the input, at its start: those that are opened one after the other share a place, and those
 * that are read side by side are read by pread. */
static long open_input(const char *path, long flags) {
    if (!is_input(path)) {
        return -EACCES;
    }
    if ((flags & O_ACCMODE) != O_RDONLY) {
        return -EROFS;
    }
    const int fd = fcntl(sole.input, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd;
}

static long look_at(int fd, const char *path, long flags, void *out) {
    const int shown = path[0] == '\0' && (flags & AT_EMPTY_PATH) != 0 ? fd
                      : is_input(path)                                ? sole.input
                                                                      : -1;
    if (shown < 0) {
        return -EACCES;
    }
    return syscall(SYS_fstat, shown, out) == 0 ? 0 : -errno;
}

static long answer(long call, const unsigned long a[4]) {
    switch (call) {
    case SYS_openat:
        return open_input((const char *)a[1], (long)a[2]);
    case SYS_faccessat:
        return is_input((const char *)a[1]) ? 0 : -EACCES;
    case SYS_newfstatat:
        return look_at((int)a[0], (const char *)a[1], (long)a[3], (void *)a[2]);
#ifdef SYS_open
    case SYS_open:
        return open_input((const char *)a[0], (long)a[1]);
    case SYS_access:
        return is_input((const char *)a[0]) ? 0 : -EACCES;
    case SYS_stat:
    case SYS_lstat:
        return look_at(-1, (const char *)a[0], 0, (void *)a[1]);
#endif
    default:
        return -EPERM;
    }
}

/* Arguments and result lie in registers, as the kernel takes and gives them. */
static void on_call(int signal, siginfo_t *info, void *user) {
    const int kept = errno;
    ucontext_t *c = user;
    (void)signal;
#if defined __x86_64__
    const greg_t *r = c->uc_mcontext.gregs;
    const unsigned long a[4] = {(unsigned long)r[REG_RDI], (unsigned long)r[REG_RSI],
                                (unsigned long)r[REG_RDX], (unsigned long)r[REG_R10]};
    c->uc_mcontext.gregs[REG_RAX] = answer(info->si_syscall, a);
#elif defined __aarch64__
    const unsigned long long *r = c->uc_mcontext.regs;
    const unsigned long a[4] = {r[0], r[1], r[2], r[3]};
    c->uc_mcontext.regs[0] = (unsigned long long)answer(info->si_syscall, a);
#else
    (void)info;
    (void)c;
#endif
    errno = kept;
}

tub_status tub__confine_open(const char *name, int input, tub_error *err) {
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sole.name = name;
    sole.input = input;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL) == 0
               ? TUB_OK
               : tub__fail_errno(err, errno, "a worker process can't be confined");
}

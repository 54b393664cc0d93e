/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits, and a filter of system calls (seccomp, Linux). */
#include "modules/confine.h"

#include "base/error.h"
#include "base/worker.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static rlim_t smaller(rlim_t a, rlim_t b) {
    return a < b ? a : b;
}

/* Never above the hard limit that the user has set: raising that is refused. */
static tub_status limit(int resource, rlim_t soft, rlim_t hard, tub_error *err) {
    struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
    if (getrlimit((__rlimit_resource_t)resource, &r) == 0) {
        r.rlim_max = smaller(hard, r.rlim_max);
        r.rlim_cur = smaller(soft, r.rlim_max);
    }
    return setrlimit((__rlimit_resource_t)resource, &r) == 0
               ? TUB_OK
               : tub__fail_errno(err, errno, "a worker process can't be limited");
}

tub_status tub__confine_size(size_t memory, size_t output, size_t seconds, tub_error *err) {
    TUB__TRY(limit(RLIMIT_CORE, 0, 0, err));
    TUB__TRY(limit(RLIMIT_AS, memory, memory, err));
    TUB__TRY(limit(RLIMIT_FSIZE, output, output, err));
    return limit(RLIMIT_CPU, seconds, seconds + 1, err);
}

#if defined __x86_64__
#define THIS_MACHINE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define THIS_MACHINE AUDIT_ARCH_AARCH64
#else
#define THIS_MACHINE 0 /* no kernel says this: every call is refused */
#endif

#define FIELD(member) ((uint32_t)offsetof(struct seccomp_data, member))
/* The lower half of an argument, on little-endian machines. */
#define ARGUMENT(n)     (FIELD(args) + 8 * (n))
#define LOAD(offset)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define ANSWER(verdict) BPF_STMT(BPF_RET | BPF_K, (verdict))
/* If what was loaded is `value`, the next statement, else the one after it. */
#define IF_IS(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define IF_HAS(bits) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, 1)
/* Refused as a call that the user has no right to, which libraries turn into errors of their own. */
#define REFUSE         ANSWER(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW_CALL(nr) IF_IS(nr), ANSWER(SECCOMP_RET_ALLOW)
#define TRAP_CALL(nr)  IF_IS(nr), ANSWER(SECCOMP_RET_TRAP)
/* Of memory: unless it is to be executable. The call is loaded again if it is another one. */
#define ALLOW_MEMORY(nr)                                                                           \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD(ARGUMENT(2)), IF_HAS(PROT_EXEC), REFUSE, \
        ANSWER(SECCOMP_RET_ALLOW)
/* Of a signal: to this process alone. The kernel takes the process number from the lower half. */
#define ALLOW_SELF(nr)                                                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD(ARGUMENT(0)), IF_IS((uint32_t)getpid()), \
        ANSWER(SECCOMP_RET_ALLOW), REFUSE

enum { RULES = 96 };

typedef struct program {
    struct sock_filter rules[RULES];
    size_t count;
} program;

static void add(program *p, const struct sock_filter *rules, size_t count) {
    assert(p->count + count <= RULES);
    memcpy(p->rules + p->count, rules, count * sizeof *rules);
    p->count += count;
}

static void add_common(program *p) {
    const struct sock_filter rules[] = {
        LOAD(FIELD(arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_MACHINE, 1, 0),
        REFUSE,
        LOAD(FIELD(nr)),
        ALLOW_CALL(SYS_read),
        ALLOW_CALL(SYS_write),
        ALLOW_CALL(SYS_lseek),
        ALLOW_CALL(SYS_brk),
        ALLOW_MEMORY(SYS_mmap),
        ALLOW_MEMORY(SYS_mprotect),
        ALLOW_CALL(SYS_munmap),
        ALLOW_CALL(SYS_mremap),
        ALLOW_CALL(SYS_madvise),
        ALLOW_CALL(SYS_futex),
        ALLOW_CALL(SYS_clock_gettime),
        ALLOW_CALL(SYS_gettimeofday),
        ALLOW_CALL(SYS_getrandom),
        ALLOW_CALL(SYS_rt_sigreturn),
        ALLOW_CALL(SYS_rt_sigprocmask),
        ALLOW_CALL(SYS_getpid),
        ALLOW_CALL(SYS_gettid),
        ALLOW_SELF(SYS_tgkill), /* abort(): a death that tells itself */
        ALLOW_CALL(SYS_exit),
        ALLOW_CALL(SYS_exit_group),
    };
    add(p, rules, sizeof rules / sizeof *rules);
}

/* Of descriptors: those that were opened since, not those by which the process is watched. */
#define ALLOW_OWN(nr)                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD(ARGUMENT(0)),                            \
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, TUB__WORKER_FREE, 0, 1), ANSWER(SECCOMP_RET_ALLOW),    \
        REFUSE
/* With this second argument. */
#define ALLOW_WITH(nr, value)                                                                      \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD(ARGUMENT(1)), IF_IS(value),              \
        ANSWER(SECCOMP_RET_ALLOW), REFUSE

/* Opening and looking at files is answered by confine_open.c, which knows one file. What it does for that
 * has a descriptor in it, never a name. */
static void add_opening(program *p) {
    const struct sock_filter rules[] = {
        ALLOW_CALL(SYS_pread64),  ALLOW_CALL(SYS_fstat),
        ALLOW_OWN(SYS_close),     ALLOW_WITH(SYS_fcntl, F_DUPFD_CLOEXEC),
        TRAP_CALL(SYS_openat),    TRAP_CALL(SYS_newfstatat),
        TRAP_CALL(SYS_faccessat),
#ifdef SYS_open
        TRAP_CALL(SYS_open),      TRAP_CALL(SYS_stat),
        TRAP_CALL(SYS_lstat),     TRAP_CALL(SYS_access),
#endif
    };
    add(p, rules, sizeof rules / sizeof *rules);
}

tub_status tub__confine_calls(bool opens, tub_error *err) {
    const struct sock_filter end[] = {REFUSE};
    program p = {.count = 0};
    add_common(&p);
    if (opens) {
        add_opening(&p);
    }
    add(&p, end, 1);
    const struct sock_fprog filter = {.len = (unsigned short)p.count, .filter = p.rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        return tub__fail(
            err, TUB_E_UNSUPPORTED,
            "this system can't confine a process (seccomp), so files of unknown origin "
            "are not opened");
    }
    return TUB_OK;
}

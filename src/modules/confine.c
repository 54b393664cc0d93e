/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits, and a filter of system calls (seccomp, Linux). */
#include "modules/confine.h"

#include "base/error.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
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
/* Of memory: unless it is to be executable. The call is loaded again if it is another one. */
#define ALLOW_MEMORY(nr)                                                                           \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD(ARGUMENT(2)), IF_HAS(PROT_EXEC), REFUSE, \
        ANSWER(SECCOMP_RET_ALLOW)
/* Of a signal: to this process alone. The kernel takes the process number from the lower half. */
#define ALLOW_SELF(nr)                                                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD(ARGUMENT(0)), IF_IS((uint32_t)getpid()), \
        ANSWER(SECCOMP_RET_ALLOW), REFUSE

tub_status tub__confine_calls(tub_error *err) {
    struct sock_filter rules[] = {
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
        REFUSE,
    };
    const struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        return tub__fail(
            err, TUB_E_UNSUPPORTED,
            "this system can't confine a process (seccomp), so files of unknown origin "
            "are not opened");
    }
    return TUB_OK;
}

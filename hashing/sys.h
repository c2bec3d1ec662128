/* System calls without libc: for code that runs inside a host program.
 *
 * A call here enters the kernel and nothing else.  It never touches errno, is no cancellation
 * point, takes no lock, and cannot land in a wrapper that the host or another preloaded library
 * put in libc's place.  So all of them are safe in signal handlers and in a fork's child.
 *
 * Results are the kernel's: 0 or more, or a negative errno.  -EINTR is not retried.  On x86-64 and
 * aarch64 the instruction stands here; other 64-bit machines go through syscall(2), with errno
 * saved around it.  Pointers and structs are as in the man page of the call (section 2).
 *
 * Sealed, all of them return -EPERM without entering the kernel: a host in a seccomp sandbox may be
 * killed for a call that it never makes itself (agent/hook/sandbox.h).
 */
#ifndef LOGFOLD_HASHING_SYS_H
#define LOGFOLD_HASHING_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef __LP64__
#error "the system calls below have other numbers and arguments on 32-bit machines"
#endif

/* One for the whole program or library, though it is defined here: every file that includes this has a
 * weak copy, and the linker keeps one. */
__attribute__((weak, visibility("hidden"))) int lf_sys_sealed;

/* Of all threads, from now on; a child inherits it. */
static inline void lf_sys_seal(int on)
{
	__atomic_store_n(&lf_sys_sealed, on, __ATOMIC_SEQ_CST);
}

static inline int lf_sys_is_sealed(void)
{
	return __atomic_load_n(&lf_sys_sealed, __ATOMIC_RELAXED);
}

/* Any call by number, for what has no name below.  Unused arguments are 0. */
static inline long lf_sys_call6(long number, long a, long b, long c, long d, long e, long f)
{
	if (lf_sys_is_sealed())
		return -EPERM;
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
	int saved = errno;
	long result = syscall(number, a, b, c, d, e, f);

	if (result == -1)
		result = -errno;
	errno = saved;
	return result;
#endif
}

static inline long lf_sys_call3(long number, long a, long b, long c)
{
	return lf_sys_call6(number, a, b, c, 0, 0, 0);
}

/* Files. */

static inline int lf_sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (int)lf_sys_call6(SYS_openat, dirfd, (long)path, flags, (long)mode, 0, 0);
}

static inline int lf_sys_open(const char *path, int flags, mode_t mode)
{
	return lf_sys_openat(AT_FDCWD, path, flags, mode);
}

static inline int lf_sys_close(int fd)
{
	return (int)lf_sys_call3(SYS_close, fd, 0, 0);
}

static inline ssize_t lf_sys_read(int fd, void *buf, size_t len)
{
	return lf_sys_call3(SYS_read, fd, (long)buf, (long)len);
}

static inline ssize_t lf_sys_pread(int fd, void *buf, size_t len, off_t offset)
{
	return lf_sys_call6(SYS_pread64, fd, (long)buf, (long)len, offset, 0, 0);
}

static inline ssize_t lf_sys_write(int fd, const void *buf, size_t len)
{
	return lf_sys_call3(SYS_write, fd, (long)buf, (long)len);
}

static inline ssize_t lf_sys_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	return lf_sys_call6(SYS_pwrite64, fd, (long)buf, (long)len, offset, 0, 0);
}

static inline int lf_sys_fallocate(int fd, int mode, off_t offset, off_t len)
{
	return (int)lf_sys_call6(SYS_fallocate, fd, mode, offset, len, 0, 0);
}

static inline int lf_sys_fcntl(int fd, int command, long argument)
{
	return (int)lf_sys_call3(SYS_fcntl, fd, command, argument);
}

static inline int lf_sys_ioctl(int fd, unsigned long request, void *argument)
{
	return (int)lf_sys_call3(SYS_ioctl, fd, (long)request, (long)argument);
}

static inline int lf_sys_fstat(int fd, struct stat *out)
{
	return (int)lf_sys_call3(SYS_fstat, fd, (long)out, 0);
}

static inline int lf_sys_fchmod(int fd, mode_t mode)
{
	return (int)lf_sys_call3(SYS_fchmod, fd, (long)mode, 0);
}

/* Paths. */

/* Writes no NUL, as readlinkat(2). */
static inline ssize_t lf_sys_readlinkat(int dirfd, const char *path, char *buf, size_t len)
{
	return lf_sys_call6(SYS_readlinkat, dirfd, (long)path, (long)buf, (long)len, 0, 0);
}

static inline int lf_sys_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return (int)lf_sys_call3(SYS_mkdirat, dirfd, (long)path, (long)mode);
}

static inline int lf_sys_unlinkat(int dirfd, const char *path, int flags)
{
	return (int)lf_sys_call3(SYS_unlinkat, dirfd, (long)path, flags);
}

/* Memory. */

/* *out is the mapping on success, and left alone on failure. */
static inline int lf_sys_mmap(void *where, size_t len, int protection, int flags, int fd,
			      off_t offset, void **out)
{
	long result;

#ifdef __SANITIZE_THREAD__
	/* Here and in lf_sys_munmap() by libc's name, which ThreadSanitizer follows: else it takes what one
	 * thread gave back and another mapped there next for the same memory. */
	result = (long)mmap(where, len, protection, flags, fd, offset);
	if (result == -1)
		return errno > 0 ? -errno : -EINVAL;
#else
	result =
		lf_sys_call6(SYS_mmap, (long)where, (long)len, protection, flags, fd, offset);

	/* The kernel's errors are the last page of addresses, which is never mapped. */
	if (result < 0 && result >= -4095)
		return (int)result;
#endif
	*out = (void *)result;
	return 0;
}

static inline int lf_sys_munmap(void *start, size_t len)
{
#ifdef __SANITIZE_THREAD__
	return munmap(start, len) < 0 ? -errno : 0;
#else
	return (int)lf_sys_call3(SYS_munmap, (long)start, (long)len, 0);
#endif
}

static inline int lf_sys_madvise(void *start, size_t len, int advice)
{
	return (int)lf_sys_call3(SYS_madvise, (long)start, (long)len, advice);
}

/* Reads memory of a process, also our own, without the risk of SIGSEGV: -EFAULT instead. */
static inline ssize_t lf_sys_process_vm_readv(pid_t pid, const struct iovec *local,
					      unsigned long local_count, const struct iovec *remote,
					      unsigned long remote_count)
{
	return lf_sys_call6(SYS_process_vm_readv, pid, (long)local, (long)local_count,
			    (long)remote, (long)remote_count, 0);
}

/* The process itself. */

static inline pid_t lf_sys_getpid(void)
{
	return (pid_t)lf_sys_call3(SYS_getpid, 0, 0, 0);
}

static inline uid_t lf_sys_geteuid(void)
{
	return (uid_t)lf_sys_call3(SYS_geteuid, 0, 0, 0);
}

/* The sets are 64 bits wide as the kernel has them, not libc's 1024.  Either may be NULL. */
static inline int lf_sys_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	return (int)lf_sys_call6(SYS_rt_sigprocmask, how, (long)set, (long)old, 8, 0, 0);
}

/* Enters the kernel: 100 ns and more, where libc's goes through the vdso in 20. */
static inline int lf_sys_clock_gettime(clockid_t clock, struct timespec *out)
{
	return (int)lf_sys_call3(SYS_clock_gettime, clock, (long)out, 0);
}

static inline ssize_t lf_sys_getrandom(void *buf, size_t len, unsigned flags)
{
	return lf_sys_call3(SYS_getrandom, (long)buf, (long)len, (long)flags);
}

#endif

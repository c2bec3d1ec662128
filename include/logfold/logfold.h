/* logfold for programs that link it: count what you print, and leave out what was muted.
 *
 *     #include <logfold/logfold.h>                       cc prog.c $(pkg-config --cflags --libs logfold)
 *
 *     lf_printf("user %s in\n", name);                   printf, fprintf, puts and syslog, counted
 *     lf_fprintf(stderr, "cannot open %s\n", path);
 *     lf_puts("ready");
 *     lf_syslog(LOG_ERR, "disk %s is full", disk);
 *
 *     #define LOG(...) (lf_passes("LOG", __VA_ARGS__) ? log_line(__VA_ARGS__) : (void)0)
 *
 *     if (lf_call("log.info", "user %s in", "shop.py!enter"))   other languages, formats made at run time
 *             …
 *
 * What is one message: method, format and calling function, as the preload library would name the same
 * call ("printf", the format as it stands here, `module!function` by __func__), so that both count into
 * one entry.  They name it differently where the compiler made one call of another (printf("x\n") becomes
 * puts), where it inlined the function, in C++ (__func__ is not mangled), for a format without a word of its
 * own ("%s\n"), which the preload library knows by what it prints, and for a priority that is not known when
 * this is compiled: lf_syslog(LOG_ERR, …) is "syslog.err", lf_syslog(how_bad, …) "syslog".
 *
 * Every call counts, whatever the stream is.  It counts when it is decided, before it prints; one that
 * is left out (`logfold mute`, or by a policy: sampled, limited, folded) counts as that.  Its arguments are
 * not evaluated then.
 *
 * Costs.  A call that passes: nine loads and one addition, some 2 ns; muted: twice that.  The first call of
 * a site in a process: microseconds; the first of a process makes a file in the run directory.  A site is
 * 80 bytes.
 *
 * Threads.  Any number at once, anywhere.  Nothing blocks: there is no lock.
 * Signals.  lf_passes() and lf_call() are async-signal-safe and leave errno alone (some 4 KiB of stack).
 *     The printing ones are what the call of libc is.
 * Fork.  A child, however it was made (fork, _Fork, clone), counts into a segment of its own from its
 *     first call on.  One that shares its parent's memory (vfork) counts as its parent.
 * Errors.  There are none to handle: where nothing can be counted (no run directory, a full disk, a kernel
 *     before 4.14, pages of more than 4 KiB) everything is printed; LOGFOLD_DEBUG=1 says why.  A process
 *     that has more messages than there is room for counts the rest in one entry, and prints them.
 * No agent need run: counts wait in the run directory.  LOGFOLD_DISABLE, LOGFOLD_NAMESPACE and
 *     LOGFOLD_RUN_DIR hold as for the preload library; what is printed here it does not see, so that in a
 *     preloaded program nothing is counted twice.
 * Unloading.  A library that has sites in it may be unloaded: nobody keeps their addresses.
 *
 * C99 or later, C++11 or later, with the extensions of gcc.  In C an inline function that is not static may
 * not have a site, nor any other static variable.  With LOGFOLD_OFF defined the macros are the plain calls, and
 * nothing needs to be linked.
 */
#ifndef LOGFOLD_LOGFOLD_H
#define LOGFOLD_LOGFOLD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef LOGFOLD_OFF

#define lf_printf(...) printf(__VA_ARGS__)
#define lf_fprintf(stream, ...) fprintf(stream, __VA_ARGS__)
#define lf_puts(text) puts("" text "")
#define lf_syslog(priority, ...) syslog(priority, __VA_ARGS__)
#define lf_passes(method, ...) 1

static inline int lf_call(const char *method, const char *message, const char *frame)
{
	(void)method, (void)message, (void)frame;
	return 1;
}

#else

/* As printf(…).  The format must be a string literal.  Returns what printf returns; 0 when the call was
 * left out.  Evaluates no argument then. */
#define lf_printf(...) (LF_SITE_("printf", 0, __VA_ARGS__) ? lf_site_printf(__VA_ARGS__) : 0)

/* As fprintf(stream, …); `stream` is an argument, too. */
#define lf_fprintf(stream, ...) \
	(LF_SITE_("fprintf", 0, __VA_ARGS__) ? lf_site_fprintf((stream), __VA_ARGS__) : 0)

/* As puts(text), of a string literal. */
#define lf_puts(text) (LF_SITE_("puts", 1, text) ? lf_site_puts("" text "") : 0)

/* As syslog(priority, …) of <syslog.h>. */
#define lf_syslog(priority, ...) \
	(LF_SITE_OF_(LF_SYSLOG_(priority), 0, __VA_ARGS__) ? lf_site_syslog((priority), __VA_ARGS__) \
	                                                   : (void)0)

/* For a logging macro of your own: counts one call of that method (a string literal), and says whether
 * to print it, as lf_call() does.  What follows the format is neither evaluated nor looked at. */
#define lf_passes(method, ...) LF_SITE_(method, 2, __VA_ARGS__)

#ifdef __cplusplus
extern "C" {
#endif

/* Counts one call and says whether to print it: 0, leave it out; else print it.  What is above 1 is how
 * many calls a fold (`logfold fold`) has left out before this one that nobody has told of: tell it, or
 * let it be.
 *
 * All NUL-terminated, and the caller's; what is not UTF-8 is escaped as \xHH.  Of `method` 32 bytes
 * count, of `message` (the template: what is the same in each such call) 4096, of `frame` (who calls,
 * as "module!function") 256.  `frame` NULL: "[unknown]".  Without method or message: print it.
 * Some 200 ns. */
int lf_call(const char *method, const char *message, const char *frame);

/* The rest is the macros' own: a call site, static where it stands. */
struct lf_site_of_call {
	/* The library's, all NULL at first.  Owner: whose the two below are; it is written last.  Living:
	 * where the present owner stands, which the kernel wipes in a forked child. */
	const void *owner;
	const void *const *living;
	const uint32_t *verdict;    /* passes while this … */
	const uint32_t *generation; /* … equals this */
	uint64_t *passed;           /* the counter */
	/* What the compiler knows.  All literals. */
	const char *method, *message, *function, *file;
	unsigned line;
	unsigned kind; /* 0: a format; 1: a text; 2: a format, and somebody else prints it */
};

/* The long way: first calls, whatever does not just pass, and processes that cannot count. */
int lf_site_judge(struct lf_site_of_call *site);

int lf_site_printf(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
int lf_site_fprintf(FILE *stream, const char *format, ...)
	__attribute__((__format__(__printf__, 2, 3)));
int lf_site_puts(const char *text);
void lf_site_syslog(int priority, const char *format, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/* Whether the site was here before in this very process (a forked child finds *living empty), and its
 * verdict was "passes" at the present generation of the flags.  Acquire pairs with the release in
 * lf_site_judge(): who sees the owner sees what belongs to it.  Threads that meet there for the first time
 * each store these, for the same message: any of them will do.
 *
 * The addition is a locked one also where libc knows of one thread: that costs 1 to 2 ns, and is exact
 * where threads were made without libc. */
static inline int lf_site_passes(struct lf_site_of_call *site)
{
	const void *owner = __atomic_load_n(&site->owner, __ATOMIC_ACQUIRE);
	const void *const *living = __atomic_load_n(&site->living, __ATOMIC_RELAXED);
	const uint32_t *verdict = __atomic_load_n(&site->verdict, __ATOMIC_RELAXED);
	const uint32_t *generation = __atomic_load_n(&site->generation, __ATOMIC_RELAXED);

	if (__builtin_expect(owner != NULL, 1) &&
	    __builtin_expect(__atomic_load_n(living, __ATOMIC_RELAXED) == owner, 1) &&
	    __builtin_expect(__atomic_load_n(verdict, __ATOMIC_RELAXED) ==
	                             __atomic_load_n(generation, __ATOMIC_RELAXED), 1)) {
		(void)__atomic_fetch_add(__atomic_load_n(&site->passed, __ATOMIC_RELAXED), 1,
		                         __ATOMIC_RELAXED);
		return 1;
	}
	return lf_site_judge(site);
}

#ifdef __cplusplus
}
#endif

#define LF_FIRST_OF_(first, ...) first
#define LF_FIRST_(...) LF_FIRST_OF_(__VA_ARGS__, 0)

/* Where the priority is known when this is compiled, it is in the method's name. */
#define LF_SYSLOG_(priority) \
	(!__builtin_constant_p(priority) ? "syslog" \
	 : ((priority) & 7) == 0 ? "syslog.emerg" \
	 : ((priority) & 7) == 1 ? "syslog.alert" \
	 : ((priority) & 7) == 2 ? "syslog.crit" \
	 : ((priority) & 7) == 3 ? "syslog.err" \
	 : ((priority) & 7) == 4 ? "syslog.warning" \
	 : ((priority) & 7) == 5 ? "syslog.notice" \
	 : ((priority) & 7) == 6 ? "syslog.info" : "syslog.debug")

/* "" before and behind: only a literal will do.  The arguments stay outside of the block, so that a call
 * among them has no other's site around it. */
#define LF_SITE_(method, kind, ...) LF_SITE_OF_("" method "", kind, __VA_ARGS__)

#define LF_SITE_OF_(method, kind, ...) \
	(__extension__({ \
		static struct lf_site_of_call lf_site_here_ = { \
			NULL, NULL, NULL, NULL, NULL, method, "" LF_FIRST_(__VA_ARGS__) "", \
			__func__, __FILE__, __LINE__, kind, \
		}; \
		lf_site_passes(&lf_site_here_); \
	}))

#endif

#endif

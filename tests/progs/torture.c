/* Does everything that a program may do to its output, in an order made of a seed: torture SEED STEPS.
 *
 * Its output is the same each time.  The steps take turns in several threads, so every kind of call is
 * made from every thread; where calls do run at once, all print the same line.  After each call its
 * result and errno are told on stderr, with errno set to UNTOUCHED before it.
 */
#include <err.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include <wchar.h>

enum { THREADS = 6, UNTOUCHED = 77, STORM_LINES = 200 };

static unsigned long chance;
extern char **environ;

static unsigned roll(unsigned sides)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)(chance % sides);
}

/* Past stdio and the hook: what is said of a call must not depend on what it broke. */
static void tell(const char *what, long result, int error)
{
	char line[160];
	int len = snprintf(line, sizeof(line), "%s: %ld, errno %d\n", what, result, error);

	syscall(SYS_write, 2, line, (size_t)len);
}

#define TRY(call) \
	do { \
		long result_; \
		errno = UNTOUCHED; \
		result_ = (long)(call); \
		tell(#call, result_, errno); \
	} while (0)

/* --- printing --------------------------------------------------------------------------------- */

static int wrapped(FILE *file, const char *format, ...)
{
	va_list args;
	int result;

	va_start(args, format);
	result = file ? vfprintf(file, format, args) : vprintf(format, args);
	va_end(args);
	return result;
}

static int wrapped_fd(int fd, const char *format, ...)
{
	va_list args;
	int result;

	va_start(args, format);
	result = vdprintf(fd, format, args);
	va_end(args);
	return result;
}

static void print_formats(void)
{
	int n = 0;

	TRY(printf("number %d of %s\n", roll(1000), "some"));
	TRY(printf("%s\n", "carried"));
	TRY(printf("%s: %n%5.2f|%-8x|%c%%\n", "all", &n, 3.14159, 255, 'z'));
	tell("n", n, 0);
	TRY(fprintf(stderr, "to stderr %lu\n", chance % 100));
	TRY(printf("unfinished, "));
	TRY(printf("%2$s before %1$d\n", 5, "two"));
	TRY(wrapped(NULL, "through vprintf %d\n", n));
	TRY(wrapped(stderr, "through vfprintf %s\n", "here"));
	TRY(wrapped_fd(1, "through vdprintf %d\n", n));
	TRY(dprintf(2, "dprintf %d\n", n));
	TRY(printf("%*s\n", 3000, "far right"));
}

static void print_texts(void)
{
	char text[3] = { 'a', (char)0xff, 0 };

	TRY(puts("puts"));
	TRY(puts(""));
	TRY(fputs("fputs\n", stdout));
	TRY(fputs("", stderr));
	TRY(fputc(0x141, stdout));
	TRY(putc('b', stdout));
	TRY(putchar('c'));
	TRY(putchar_unlocked('d'));
	TRY(putc_unlocked('\n', stdout));
	TRY(fwrite("five\nbytes and more\n", 5, 4, stdout));
	TRY(fwrite_unlocked("", 0, 7, stdout));
	TRY(fwrite(text, 1, 3, stdout));
	TRY(fputs_unlocked("unlocked\n", stderr));
	TRY(putw(0x0a636261, stdout));
}

static void print_bytes(void)
{
	/* What the compiler would warn of. */
	void *volatile nowhere = (void *)8;
	volatile int below_none = -1;
	struct iovec pieces[] = { { "one ", 4 }, { "", 0 }, { "two\nthr", 7 }, { "ee\n", 3 } };

	TRY(fflush(stdout));
	TRY(write(1, "raw\n", 4));
	TRY(write(1, "", 0));
	TRY(write(1, nowhere, 3));
	TRY(write(99, "x", 1));
	TRY(write(-1, "x", 1));
	TRY(write(2, "no end", 6));
	TRY(write(2, " but now\n", 9));
	TRY(writev(1, pieces, 4));
	TRY(writev(1, pieces, below_none));
	TRY(writev(1, nowhere, 1));
	pieces[2].iov_base = nowhere;
	TRY(writev(1, pieces, 4));
}

static void print_much(void)
{
	static char much[100000];

	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = i % 61 == 60 ? '\n' : (char)('a' + i % 26);
	TRY(fwrite(much, 1, sizeof(much) - roll(5000), stdout));
	TRY(fputc('\n', stdout));
	TRY(fflush(stdout));
	TRY(write(1, much, 70000));
}

static void print_errors(void)
{
	FILE *wide = fdopen(dup(1), "w");

	TRY((errno = ENOENT, perror("perror"), 0));
	TRY((errno = EIO, warn("warn %d", 1), 0));
	TRY((warnx("warnx"), 0));
	TRY((error(0, EPERM, "error %s", "here"), 0));
	TRY((psignal(SIGTERM, "psignal"), 0));
	TRY(fflush(stdout));
	TRY(fwide(wide, 0));
	TRY(fwprintf(wide, L"wide %d\n", 7));
	TRY(fputws(L"fputws\n", wide));
	TRY(fputwc(L'w', wide) == L'w');
	TRY(fwide(wide, 0) > 0);
	TRY(fputs("narrow on wide\n", wide));
	TRY(fclose(wide));
	TRY(fwide(stdout, 0) < 0);
}

/* --- processes -------------------------------------------------------------------------------- */

static void await(const char *what, pid_t child)
{
	int status = -1;

	waitpid(child, &status, __WALL);
	tell(what, status, 0);
}

static void in_child(void)
{
	puts("child puts");
	fprintf(stderr, "child of depth %d\n", 1);
	fflush(stdout);
	if (write(1, "child write\n", 12) < 0)
		_exit(9);
}

static void by_fork(void)
{
	pid_t child, again;

	fflush(stdout);
	child = fork();
	if (child) {
		await("fork", child);
		return;
	}
	in_child();
	again = fork();
	if (!again) {
		in_child();
		_exit(4);
	}
	await("fork in fork", again);
	_exit(3);
}

static void by_other_forks(void)
{
	pid_t child;

	fflush(stdout);
	child = _Fork();
	if (!child) {
		dprintf(1, "after _Fork %d\n", 1);
		_exit(5);
	}
	await("_Fork", child);
	child = (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
	if (!child) {
		dprintf(1, "after SYS_clone\n");
		_exit(6);
	}
	await("SYS_clone", child);
	child = fork();
	if (!child) {
		printf("dies with its buffer full");
		dprintf(2, "dies\n");
		raise(SIGKILL);
	}
	await("killed", child);
}

static void by_exec(void)
{
	char *echo[] = { "echo", "from echo", NULL };
	pid_t child;

	fflush(stdout);
	child = vfork();
	if (!child) {
		if (write(1, "in vfork\n", 9) < 0)
			_exit(8);
		execvp("echo", echo);
		_exit(9);
	}
	await("vfork and exec", child);
	child = vfork();
	if (!child) {
		execvp("/nonexistent", echo);
		_exit(write(2, "no exec\n", 8) == 8 ? 7 : 8);
	}
	await("vfork in vain", child);
	if (posix_spawnp(&child, "echo", NULL, NULL, echo, environ) == 0)
		await("posix_spawn", child);
	TRY(system("echo from a shell; echo to stderr >&2; exit 6"));
}

static int cloned(void *unused)
{
	(void)unused;
	dprintf(1, "cloned %s\n", "here");
	close(0);
	return write(2, "cloned\n", 7) == 7 ? 11 : 12;
}

static void by_clone(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	char *top = stack + sizeof(stack);

	fflush(stdout);
	await("clone", clone(cloned, top, SIGCHLD, NULL));
	await("clone sharing memory", clone(cloned, top, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

/* --- file descriptors ------------------------------------------------------------------------- */

/* Each in a child of its own, so that this process keeps its streams. */
static void closed_stdout(void)
{
	close(1);
	TRY(puts("into nothing"));
	TRY(fflush(stdout));
	TRY(printf("%d\n", 5));
	TRY(ferror(stdout) != 0);
	TRY(write(1, "x", 1));
	clearerr(stdout);
}

static void moved_stdout(void)
{
	int kept = dup(1), file = open("torture.out", O_WRONLY | O_CREAT | O_APPEND, 0640);

	TRY(dup2(file, 1));
	TRY(puts("to the file"));
	TRY(fflush(stdout));
	TRY(write(1, "raw to the file\n", 16));
	TRY(dup3(kept, 1, O_CLOEXEC));
	TRY(dup3(1, 1, 0));
	TRY(puts("to the console again"));
	TRY(fflush(stdout));
	TRY(fcntl(1, F_DUPFD, 20));
	TRY(write(20, "by another name\n", 16));
	TRY(close(20));
	TRY(write(20, "x", 1));
}

static void reopened(void)
{
	TRY(freopen("torture.re", "a", stdout) == stdout);
	TRY(printf("reopened %d\n", 1));
	TRY(fprintf(stderr, "while stderr is %s\n", "as it was"));
	TRY(freopen("/nonexistent/x", "w", stderr) != NULL);
	TRY(fputs("lost", stderr));
}

static void ranges(void)
{
	TRY(close_range(3, ~0U, 0));
	TRY(puts("after close_range"));
	TRY(fflush(stdout));
	TRY(close_range(1, 1, 0));
	TRY(write(1, "x", 1));
	TRY(open("torture.range", O_WRONLY | O_CREAT | O_APPEND, 0600));
	TRY(puts("into what is fd 1 now"));
	TRY(fclose(stdout));
	closefrom(3);
	TRY(fputs("stderr is there\n", stderr));
}

static void buffered(void)
{
	static char room[64];

	TRY(setvbuf(stdout, room, _IOFBF, sizeof(room)));
	for (int i = 0; i < 20; i++)
		printf("piece %d%s", i, i % 3 ? "; " : "\n");
	TRY(setvbuf(stderr, NULL, _IOLBF, 100));
	TRY(fputs("line", stderr));
	TRY(fputs(" buffered\nrest", stderr));
}

static void full(void)
{
	int device = open("/dev/full", O_WRONLY);

	dup2(device, 1);
	TRY(puts("nowhere to go"));
	TRY(fflush(stdout));
	TRY(ferror(stdout) != 0);
	TRY(write(1, "x", 1));
	TRY(dprintf(1, "%d\n", 1));
}

static void without_reader(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		_exit(9);
	close(ends[0]);
	dup2(ends[1], 1);
	signal(SIGPIPE, SIG_IGN);
	TRY(write(1, "x", 1));
	TRY(printf("%s\n", "unread"));
	TRY(fflush(stdout));
	signal(SIGPIPE, SIG_DFL);
	TRY(write(1, "x", 1));
	tell("never", 0, 0);
}

static void with_fds(void)
{
	void (*const acts[])(void) = { closed_stdout, moved_stdout, reopened, ranges, buffered, full,
		                       without_reader };
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		acts[roll(sizeof(acts) / sizeof(acts[0]))]();
		exit(2);
	}
	await("with fds", child);
}

/* --- signals ---------------------------------------------------------------------------------- */

static sigjmp_buf back;
static atomic_int storms, alarms;

static void on_usr1(int number)
{
	printf("in the handler of %d\n", number);
	dprintf(2, "handler\n");
}

static void on_usr2(int number)
{
	printf("leaving the handler of %d\n", number);
	siglongjmp(back, 1);
}

static void on_alarm(int number)
{
	int saved = errno;

	(void)number;
	if (atomic_fetch_add(&alarms, 1) < 20 && write(1, "the same line\n", 14) < 0)
		_exit(9);
	errno = saved;
}

static void by_signals(void)
{
	stack_t alternate = { .ss_sp = malloc(16384), .ss_size = 16384 };
	struct sigaction action = { .sa_handler = on_usr1, .sa_flags = SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = on_usr2;
	sigaction(SIGUSR2, &action, NULL);
	TRY(raise(SIGUSR1));
	if (!sigsetjmp(back, 1))
		raise(SIGUSR2);
	TRY(puts("back"));
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	free(alternate.ss_sp);
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *print_from_small_stack(void *unused)
{
	(void)unused;
	print_formats();
	print_texts();
	return NULL;
}

static void small_stack(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 20480);
	pthread_create(&thread, &attributes, print_from_small_stack, NULL);
	TRY(pthread_join(thread, NULL));
	pthread_attr_destroy(&attributes);
}

static void clean_up(void *what)
{
	printf("cleaning up %s\n", (char *)what);
}

static void *wait_to_be_cancelled(void *ready)
{
	pthread_cleanup_push(clean_up, "a thread");
	puts("waiting");
	sem_post(ready);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *write_until_cancelled(void *unused)
{
	(void)unused;
	pthread_cleanup_push(clean_up, "a writer");
	pthread_cancel(pthread_self());
	tell("cancelled, not yet", 0, 0);
	if (write(1, "never\n", 6) < 0)
		_exit(9);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancelled(void)
{
	pthread_t thread;
	sem_t ready;
	void *result;

	sem_init(&ready, 0, 0);
	pthread_create(&thread, NULL, wait_to_be_cancelled, &ready);
	sem_wait(&ready);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	tell("cancelled", result == PTHREAD_CANCELED, 0);
	fflush(stdout);
	pthread_create(&thread, NULL, write_until_cancelled, NULL);
	pthread_join(thread, &result);
	tell("cancelled in write", result == PTHREAD_CANCELED, 0);
}

static void *storm(void *unused)
{
	(void)unused;
	for (int i = 0; i < STORM_LINES; i++)
		switch (i % 4) {
		case 0: printf("the same %s\n", "line"); break;
		case 1: puts("the same line"); break;
		case 2: dprintf(1, "%s\n", "the same line"); break;
		default: fwrite("the same line\n", 1, 14, stdout);
		}
	atomic_fetch_add(&storms, 1);
	return NULL;
}

/* All at once, under a timer whose handler prints, too, while children are made. */
static void storms_at_once(void)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	pthread_t threads[THREADS];
	pid_t child;

	fflush(stdout);
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarms = storms = 0;
	sigaction(SIGALRM, &action, NULL);
	/* A signal cuts what is written to a terminal whose reader is slow. */
	if (!isatty(1))
		setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, storm, NULL);
	for (int i = 0; i < 3; i++) {
		child = _Fork();
		if (!child)
			_exit(write(1, "the same line\n", 14) == 14 ? 0 : 1);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	while (!isatty(1) && alarms < 20)
		usleep(500);
	setitimer(ITIMER_REAL, &never, NULL);
	tell("storms", storms, 0);
}

/* --- the order of all this -------------------------------------------------------------------- */

static void (*const steps[])(void) = {
	print_formats, print_texts, print_bytes, print_much, print_errors, by_fork, by_other_forks,
	by_exec, by_clone, with_fds, by_signals, small_stack, cancelled, storms_at_once,
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long left;
static int whose;

/* The first STEPS turns take each step once, the rest any. */
static void *take_turns(void *number)
{
	int mine = (int)(long)number;

	pthread_mutex_lock(&turn);
	while (left > 0) {
		if (whose != mine) {
			pthread_cond_wait(&changed, &turn);
			continue;
		}
		steps[left <= STEPS ? left - 1 : roll(STEPS)]();
		left--;
		whose = (int)roll(THREADS);
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&turn);
	return NULL;
}

static void at_exit(void)
{
	puts("at exit");
	fprintf(stderr, "%s\n", "at exit");
}

__attribute__((constructor)) static void first(void)
{
	dprintf(2, "constructor\n");
}

__attribute__((destructor)) static void last(void)
{
	puts("destructor");
	fflush(stdout);
	dprintf(1, "last of %s\n", "all");
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	if (argc != 3)
		errx(64, "torture SEED STEPS");
	chance = strtoul(argv[1], NULL, 10) * 2654435761UL + 88172645463325252UL;
	left = strtol(argv[2], NULL, 10);
	atexit(at_exit);
	openlog("torture", LOG_PERROR | LOG_NDELAY, LOG_USER);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, take_turns, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	syslog(LOG_NOTICE, "done %d", argc);
	return (int)roll(100);
}

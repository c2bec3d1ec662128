/* A program that links liblogfold: host WHAT [COUNT | FILE].
 *
 *   count COUNT    each macro and lf_call() so many times
 *   threads COUNT  four threads that begin at once, each so many calls at one site
 *   first COUNT    the same, and how often the flags table is mapped
 *   early          a call before main()
 *   forks          children of every kind, of a parent that has used its sites before
 *   killed COUNT   so many calls, then SIGKILL
 *   echo           a call for each byte of stdin; each time, how often its argument was evaluated
 *   signals COUNT  a signal handler that counts while the program does; how often each did
 *   both COUNT     the same calls by the macros and by libc
 *   unload FILE    loads a library, calls it and unloads it, again and again
 *   many COUNT     so many different messages
 *   cost WHAT COUNT   for callgrind: `site` or `nothing`
 */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <logfold/logfold.h>

enum { THREADS = 4, CYCLES = 50 };

/* A logging macro as libraries have them. */
static inline int logged(const char *format, ...)
{
	return format != NULL;
}
#define LOG(...) (lf_passes("LOG", __VA_ARGS__) ? logged(__VA_ARGS__) : 0)

static void count(long calls)
{
	for (long i = 0; i < calls; i++) {
		lf_printf("printed %ld\n", i);
		lf_fprintf(stderr, "told %ld\n", i);
		lf_puts("constant");
		if (!LOG("logged %ld", i) || !lf_call("log.info", "called", "a!b"))
			abort();
	}
}

static pthread_barrier_t all_there;

static int at_one_site(int i)
{
	return LOG("threads %d", i);
}

static void *work(void *calls)
{
	(void)pthread_barrier_wait(&all_there);
	for (long i = 0; i < *(long *)calls; i++)
		if (!at_one_site((int)i))
			abort();
	return NULL;
}

static void threads(long calls)
{
	pthread_t thread[THREADS];

	(void)pthread_barrier_init(&all_there, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, work, &calls))
			abort();
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(thread[i], NULL);
}

/* Before any library has been initialised, libc among them. */
static void early(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "early") == 0 && !lf_call("early", "of all", "a!b"))
		abort();
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **) = early;

static void first(long calls)
{
	char line[PATH_MAX];
	int mapped = 0;
	FILE *maps;

	threads(calls);
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps))
		mapped += strstr(line, "/flags\n") != NULL;
	dprintf(STDERR_FILENO, "%d\n", mapped);
}

/* One site for the parent and all its children, and nothing else by which they would be known. */
static void say(const char *who)
{
	lf_printf("%s prints\n", who);
	(void)fflush(stdout);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		abort();
	say("parent");
}

static void child(const char *who)
{
	say(who);
	if (!lf_call("child", who, "host!forks"))
		abort();
	_exit(0);
}

static void forks(const char *program)
{
	pid_t pid;

	say("parent");
	pid = fork();
	if (pid == 0)
		child("forked");
	wait_for(pid);
	pid = _Fork();
	if (pid == 0)
		child("_Forked");
	wait_for(pid);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		child("cloned");
	wait_for(pid);
	pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			child("grand");
		wait_for(pid); /* says that it is a parent, too */
		_exit(0);
	}
	wait_for(pid);
	/* In its parent's memory. */
	pid = vfork();
	if (pid == 0) {
		(void)lf_call("child", "vforked", "host!forks");
		execl(program, program, "count", "1", (char *)NULL);
		_exit(1);
	}
	wait_for(pid);
}

static void killed(long calls)
{
	for (long i = 0; i < calls; i++)
		if (!LOG("before the end %ld", i))
			abort();
	(void)kill(getpid(), SIGKILL);
}

static void echo(void)
{
	int evaluated = 0;
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1) {
		lf_printf("echo %d\n", ++evaluated);
		(void)fflush(stdout);
		dprintf(STDERR_FILENO, "%d\n", evaluated);
	}
}

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	if (!lf_passes("SIGNAL", "handled") || sig != SIGALRM || !lf_call("signal", "called", "a!b"))
		abort();
	at_one_site(1);
	handled++;
}

static void signals(long wanted)
{
	struct itimerval often = { { 0, 50 }, { 0, 50 } };
	struct sigaction action = { .sa_handler = handler };
	long calls = 0;
	char name[32];

	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	for (; handled < wanted; calls++) {
		(void)snprintf(name, sizeof(name), "called %ld", calls % 500);
		if (!at_one_site(0) || !lf_call("main", name, "a!b"))
			abort();
	}
	often = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	(void)setitimer(ITIMER_REAL, &often, NULL);
	dprintf(STDERR_FILENO, "%ld %d\n", calls, (int)handled);
}

__attribute__((noinline)) static void both(long calls)
{
	for (long i = 0; i < calls; i++) {
		lf_printf("shared %ld\n", i);
		printf("shared %ld\n", i);
		lf_fprintf(stderr, "shared %ld as well\n", i);
		fprintf(stderr, "shared %ld as well\n", i);
		lf_puts("shared text");
		puts("shared text");
		lf_syslog(LOG_USER | LOG_ERR, "shared %ld with the log", i);
		syslog(LOG_USER | LOG_ERR, "shared %ld with the log", i);
		lf_syslog((int)i & LOG_PRIMASK, "of any priority");
	}
}

static void unload(const char *file)
{
	for (int i = 0; i < CYCLES; i++) {
		void *library = dlopen(file, RTLD_NOW);
		void (*call)(int) = library ? (void (*)(int))dlsym(library, "plugin_call") : NULL;

		if (!call)
			abort();
		call(i);
		call(i);
		if (dlclose(library) || dlopen(file, RTLD_NOW | RTLD_NOLOAD))
			abort(); /* it must be gone */
		if (!at_one_site(i))
			abort();
	}
}

static void many(long messages)
{
	char name[64];

	for (long i = 0; i < messages; i++) {
		(void)snprintf(name, sizeof(name), "message %ld", i);
		if (!lf_call("many", name, "host!many"))
			abort();
	}
}

static void cost(const char *what, long calls)
{
	int is_site = strcmp(what, "site") == 0;

	for (volatile long i = 0; i < calls; i++)
		if (is_site)
			(void)lf_passes("LOG", "cost");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long number = argc > 2 ? atol(argv[argc - 1]) : 0;

	if (strcmp(what, "count") == 0)
		count(number);
	else if (strcmp(what, "threads") == 0)
		threads(number);
	else if (strcmp(what, "first") == 0)
		first(number);
	else if (strcmp(what, "early") == 0)
		return 0;
	else if (strcmp(what, "forks") == 0)
		forks(argv[0]);
	else if (strcmp(what, "killed") == 0)
		killed(number);
	else if (strcmp(what, "echo") == 0)
		echo();
	else if (strcmp(what, "signals") == 0)
		signals(number);
	else if (strcmp(what, "both") == 0)
		both(number);
	else if (strcmp(what, "unload") == 0)
		unload(argv[2]);
	else if (strcmp(what, "many") == 0)
		many(number);
	else if (strcmp(what, "cost") == 0)
		cost(argv[2], number);
	else
		return 64;
	return 0;
}

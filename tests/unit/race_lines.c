/* Threads that print lines in pieces, each to a stream of its own and all to one, while rules come and go,
 * under ThreadSanitizer: as many lines are printed as are counted as printed, and none is lost. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/host_fixture.h"

enum { THREADS = 4, LINES = 2500, SHARED_STREAM = 0x7001 };

static const char *const words[THREADS] = { "alpha", "gamma", "delta", "omega" };
static struct lf_process *process;
static struct lf_flags *flags;
static _Atomic int running = THREADS;
static _Atomic uint64_t printed[THREADS];
static int bad;

/* A console of one thread's: its fd says whose. */
static ssize_t take(const struct lf_console_out *out, const char *data, size_t len)
{
	if (memmem(data, len, "repeated", strlen("repeated")))
		return (ssize_t)len;
	for (size_t i = 0; i < len; i++)
		printed[out->fd] += data[i] == '\n';
	return (ssize_t)len;
}

static void print(const struct lf_console_out *out, struct lf_origin origin, const char *text)
{
	struct lf_text whole = { text, strlen(text) };

	if (lf_lines_print_judged(process, origin, whole, out) != (ssize_t)whole.len)
		abort();
}

static void print_line(const struct lf_console_out *out, struct lf_origin origin, unsigned way)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s %s", words[out->fd], way % 4 == 3 ? "a\n" : "a");
	print(out, origin, text);
	if (way % 4 == 0)
		print(out, origin, "\n");
	else if (way % 4 == 1)
		lf_stream_end(process, lf_stream_of(out)); /* a line without an end */
	else if (way % 4 == 2)
		lf_lines_newline(process, lf_stream_of(out));
}

static void *work(void *number)
{
	const struct lf_console_out out = { take, NULL, (int)(uintptr_t)number };
	struct lf_origin origin = lf_message_origin(process, __builtin_return_address(0),
	                                            lf_method_code(LF_METHOD_write, 1));

	for (unsigned i = 0; i < LINES; i++) {
		print_line(&out, origin, i);
		lf_lines_count(process, SHARED_STREAM, origin, (struct lf_text){ "all", 3 }, false);
		lf_lines_count(process, SHARED_STREAM, origin, (struct lf_text){ "\n", 1 }, false);
	}
	running--;
	return NULL;
}

static void change_rules(void)
{
	static const enum lf_rule_kind kinds[] = { LF_RULE_MUTE, LF_RULE_NONE, LF_RULE_SAMPLE, LF_RULE_LIMIT,
		                                   LF_RULE_FOLD };

	for (unsigned i = 0; i < 100 || running; i++) {
		lf_flags_set_defaults(flags, &(struct lf_flags_defaults){
			.namespace = "unit",
			.rule = kinds[i % 5] ? lf_rule_make(kinds[i % 5], 2, 1) : 0 });
		(void)usleep(200);
	}
}

/* However their lines ended: those that a newline ended are the printed ones. */
static void check_words(void)
{
	for (int t = 0; t < THREADS; t++) {
		char template[32];
		uint64_t all = 0, passed;

		(void)snprintf(template, sizeof(template), "%s a", words[t]);
		for (int i = 0; i < LF_OUTCOME_COUNT; i++)
			all += host_count(template, (enum lf_outcome)i);
		bad |= host_expect("lines of a thread", all, LINES);
		passed = host_count(template, LF_PASSED);
		/* Half of them have no newline of their own. */
		if (passed < printed[t] || passed > printed[t] + LINES / 2)
			bad |= host_expect("printed lines of a thread", passed, printed[t]);
	}
}

int main(void)
{
	pthread_t thread[THREADS];
	uint64_t total = 0;
	int rc, dirfd;

	process = host_start(1);
	dirfd = open(host_run_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	flags = lf_flags_map(dirfd, 1, &rc);
	if (!process || !flags)
		abort();
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, work, (void *)i))
			abort();
	change_rules();
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(thread[i], NULL);
	check_words();
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		total += host_total((enum lf_outcome)i);
	bad |= host_expect("all lines", total, 2 * THREADS * LINES);
	return bad;
}

/* Threads that use call sites for the first time and count at them, while others are muted, sampled and
 * heard again, under ThreadSanitizer: what was told to be printed and what was left out is what was
 * counted. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "logfold/logfold.h"
#include "tests/unit/host_fixture.h"

enum { THREADS = 6, ROUNDS = 3000, ROUNDS_MAX = 100 * ROUNDS };

static pthread_barrier_t all_there;
static _Atomic uint64_t printed, left_out;
static _Atomic int working;

static void take(int said)
{
	atomic_fetch_add_explicit(said ? &printed : &left_out, 1, memory_order_relaxed);
}

/* All threads come to each site at once, and to each for the first time. */
static void at_sites(int i)
{
	take(lf_passes("LOG", "one of many sites"));
	take(lf_passes("LOG", "another"));
	if (i > ROUNDS / 2)
		take(lf_passes("LOG", "found later"));
}

static void *work(void *nothing)
{
	(void)pthread_barrier_wait(&all_there);
	/* On until a rule was obeyed. */
	for (int i = 0; i < ROUNDS || (i < ROUNDS_MAX && !atomic_load(&left_out)); i++) {
		char message[32];

		at_sites(i);
		(void)snprintf(message, sizeof(message), "message %d", i % 50);
		take(lf_call("call", message, "race!work"));
	}
	atomic_fetch_sub(&working, 1);
	return nothing;
}

/* The library reads its environment when it is loaded. */
static void begin_with(const char *run_dir, char **argv)
{
	setenv("LOGFOLD_UNIT_RUN_DIR", run_dir, 1);
	setenv("LOGFOLD_RUN_DIR", run_dir, 1);
	setenv("LOGFOLD_NAMESPACE", "unit", 1);
	(void)execv("/proc/self/exe", argv);
	abort();
}

/* As two threads leave a site that each made an entry of: half of it belongs to another slot. */
static int mixed(void)
{
	static const uint32_t another = 1;
	static struct lf_site_of_call site = {
		NULL, NULL, NULL, NULL, NULL, "LOG", "mixed", __func__, __FILE__, __LINE__, 2
	};

	take(lf_site_passes(&site));
	site.verdict = &another;
	take(lf_site_passes(&site));
	return host_expect("a verdict of another slot is kept", site.verdict == &another, 0);
}

static void change_rules(void)
{
	while (atomic_load(&working)) {
		host_mute("another");
		host_rule("one of many sites", lf_rule_make(LF_RULE_SAMPLE, 3, 0));
		host_unmute_all();
		host_rule("message 7", lf_rule_make(LF_RULE_LIMIT, 2, 1));
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	uint64_t kept = 0;
	int bad = 0;

	(void)argc;
	if (!getenv("LOGFOLD_UNIT_RUN_DIR"))
		begin_with(host_run_dir(), argv);
	/* Segment and module are known before the threads: ThreadSanitizer does not see system calls that are made
	 * without libc, and takes memory that was unmapped and mapped again for shared. */
	take(lf_passes("LOG", "the first"));
	atomic_store(&working, THREADS);
	(void)pthread_barrier_init(&all_there, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			abort();
	change_rules();
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	for (int outcome = LF_MUTED; outcome < LF_OUTCOME_COUNT; outcome++)
		kept += host_total((enum lf_outcome)outcome);
	bad += mixed();
	bad += host_expect("printed", host_total(LF_PASSED), atomic_load(&printed));
	bad += host_expect("left out", kept, atomic_load(&left_out));
	bad += host_expect("any was left out", kept > 0, 1);
	return bad != 0;
}

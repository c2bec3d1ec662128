/* Threads whose calls are judged while the flags table is rewritten, under ThreadSanitizer: each call has
 * one outcome, a policy lets as many pass as it would of one thread, and no repeat of a fold is told
 * twice or lost. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/hook/fold.h"
#include "tests/unit/host_fixture.h"

enum { THREADS = 4, CALLS = 6000, KINDS = 3, HOUR_MS = 3600000, ROUNDS = 200 };

static struct lf_process *process;
static struct lf_flags *flags;
static struct lf_slot *slots[KINDS];
static _Atomic uint64_t tally[LF_OUTCOME_COUNT], told;
static _Atomic int running;
static int bad;

/* The console: only what a fold tells comes here. */
static ssize_t take_sentence(const struct lf_console_out *out, const char *data, size_t len)
{
	static const char sign[] = " … repeated ";
	const char *at = memmem(data, len, sign, sizeof(sign) - 1);

	(void)out;
	if (at)
		told += strtoul(at + sizeof(sign) - 1, NULL, 10);
	return (ssize_t)len;
}

static void *call(void *number)
{
	const struct lf_console_out out = { take_sentence, NULL, 1 + (int)(uintptr_t)number % 2 };

	for (unsigned i = 0; i < CALLS; i++) {
		struct lf_slot *slot = slots[i % KINDS];
		enum lf_outcome outcome;

		if (lf_fold_any_waits(process))
			lf_fold_tell_due(process, &out);
		outcome = lf_message_judge(process, slot, &out);
		tally[outcome]++;
		lf_message_count(process, slot, outcome);
	}
	running--;
	return NULL;
}

static void set_default(uint64_t rule)
{
	lf_flags_set_defaults(flags, &(struct lf_flags_defaults){
		.namespace = "unit", .rule = rule, .fold_grace_ms = HOUR_MS });
}

static uint64_t any_rule(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	switch ((*state >> 33) % 5) {
	case 0: return lf_rule_make(LF_RULE_MUTE, 0, 0);
	case 1: return lf_rule_make(LF_RULE_SAMPLE, 3, 0);
	case 2: return lf_rule_make(LF_RULE_LIMIT, 2, 1);
	case 3: return lf_rule_make(LF_RULE_FOLD, 0, 1);
	default: return lf_rule_make(LF_RULE_NONE, 0, 0);
	}
}

/* All entries get other rules, again and again, until the calls are made. */
static void change_rules(void)
{
	uint64_t state = 1;

	for (unsigned i = 0; i < ROUNDS || running; i++) {
		struct lf_flags_row rows[KINDS];
		size_t count = 0;

		for (int kind = 0; kind < KINDS; kind++) {
			uint64_t rule = any_rule(&state);

			if (rule)
				rows[count++] = (struct lf_flags_row){
					slots[kind]->id, lf_flags_namespace_key("unit"), rule };
		}
		if (lf_flags_publish(flags, rows, count) < 0)
			abort();
		set_default(any_rule(&state));
	}
	if (lf_flags_publish(flags, NULL, 0) < 0)
		abort();
}

static void run(void (*meanwhile)(void))
{
	pthread_t thread[THREADS];

	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		tally[i] = 0;
	told = 0;
	running = THREADS;
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, call, (void *)i))
			abort();
	if (meanwhile)
		meanwhile();
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(thread[i], NULL);
}

static uint64_t untold(void)
{
	uint64_t count = 0;

	for (int i = 0; i < KINDS; i++)
		if ((slots[i]->policed & 15) == LF_RULE_FOLD)
			count += lf_policed_count(slots[i]->policed);
	return count;
}

static void begin_anew(void)
{
	for (int i = 0; i < KINDS; i++)
		slots[i]->policed = 0;
}

static void check_policies(void)
{
	set_default(lf_rule_make(LF_RULE_SAMPLE, 100, 0));
	run(NULL);
	bad |= host_expect("sampled", tally[LF_PASSED], THREADS * CALLS / 100);
	set_default(lf_rule_make(LF_RULE_LIMIT, 7, HOUR_MS));
	run(NULL);
	bad |= host_expect("limited", tally[LF_PASSED], 7 * KINDS);
	set_default(lf_rule_make(LF_RULE_FOLD, 0, HOUR_MS));
	run(NULL);
	bad |= host_expect("folded", tally[LF_PASSED], KINDS);
	begin_anew();
	set_default(lf_rule_make(LF_RULE_FOLD, 0, 2));
	run(NULL);
	bad |= host_expect("told or waiting to be", told + untold(), tally[LF_FOLDED]);
}

int main(void)
{
	uint64_t counted = 0, before[LF_OUTCOME_COUNT];
	struct lf_origin origin;
	int rc, dirfd;

	process = host_start(1);
	dirfd = open(host_run_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	flags = lf_flags_map(dirfd, 1, &rc);
	if (!process || !flags)
		abort();
	origin = lf_message_origin(process, __builtin_return_address(0),
	                           lf_method_code(LF_METHOD_puts, LF_NO_FD));
	for (int i = 0; i < KINDS; i++)
		slots[i] = lf_message_verbatim(process, origin, LF_KIND_CONSTANT,
		                               (struct lf_text){ &"abc"[i], 1 }, 3);
	check_policies();
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		before[i] = host_total((enum lf_outcome)i);
	begin_anew();
	run(change_rules);
	for (int i = 0; i < LF_OUTCOME_COUNT; i++) {
		uint64_t now = host_total((enum lf_outcome)i) - before[i];

		bad |= host_expect("an outcome under changing rules", now, tally[i]);
		counted += now;
	}
	bad |= host_expect("calls under changing rules", counted, THREADS * CALLS);
	if (told > tally[LF_FOLDED])
		bad |= host_expect("told", told, tally[LF_FOLDED]);
	return bad;
}

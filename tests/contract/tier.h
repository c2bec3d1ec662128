/* Two agents at one tier: what the contract's tests stand on.
 *
 * The tier is chosen by the environment: LOGFOLD_TEST_SINK (memory, mongo, redis), LOGFOLD_TEST_URI, and
 * where needed LOGFOLD_TEST_PASSWORD, LOGFOLD_TEST_CA.  Every test has a namespace of its own.
 */
#ifndef LOGFOLD_TESTS_CONTRACT_TIER_H
#define LOGFOLD_TESTS_CONTRACT_TIER_H

#include "sinks/sink.h"

enum { AGENTS = 2, TIMEOUT_MS = 20000, SHARES_MAX = 8 };

struct agent {
	struct lf_sink *sink;
	char incarnation[LF_UUID_CHARS + 1];
	struct lf_sink_hello hello;
};

extern const struct lf_sink_ops *ops;
extern char namespace[LF_NAMESPACE_MAX + 1];
extern struct agent agents[AGENTS];

void open_tier(void);
void close_tier(void);

/* Closes and opens one of the two, as after a restart. */
void reopen(struct agent *agent);

/* An entry of this test's namespace: the number-th, with flags as it is born. */
struct lf_entry an_entry(unsigned number);

struct lf_text text(const char *string);

/* All counts in one outcome. */
struct lf_share a_share(const char *incarnation, enum lf_outcome outcome, uint64_t count);

/* Sends one record of one share, `passed` calls; the test fails when it is not taken.  (A mere send()
 * here would be the one that a module under test finds instead of that of libc.) */
void send_calls(struct agent *agent, const struct lf_entry *entry, uint64_t passed);
void send_record(struct agent *agent, const struct lf_sink_record *record);

/* Sends flags: with no share. */
void send_flags(struct agent *agent, const struct lf_entry *entry);

/* Calls tend() until there is nothing to do. */
void settle(void);

/* What the tier holds; the texts stay until the next call. */
struct found {
	bool there;
	struct lf_entry entry;
	struct lf_share shares[SHARES_MAX];
	size_t shares_count;
};
struct found look(const struct lf_entry *entry);

#endif

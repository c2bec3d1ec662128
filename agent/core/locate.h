/* The agent's end of logfold-locate: one question about one module, asked of a process of its own.
 *
 * The asker never waits for it: the answer comes by a pipe, to be polled; a process that takes too long
 * is killed.  Neither the answer nor the end of the process is relied on.  One thread.
 */
#ifndef LOGFOLD_CORE_LOCATE_H
#define LOGFOLD_CORE_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/locate/protocol.h"
#include "agent/store/store.h"
#include "logfold/entry.h"
#include "logfold/error.h"

enum { LF_LOCATE_TIMEOUT_MS = 5000 };

struct lf_locate_question {
	uid_t uid; /* with whose rights the file is looked at, where ours are root's */
	const char *module, *build_id;
	const uint64_t *addresses;
	size_t count; /* at most LF_LOCATE_ADDRESSES */
};

struct lf_locate;

/* Starts it.  -ENOENT: logfold-locate is not installed; -EINVAL: the question is too long. */
LF_MUST_CHECK int lf_locate_start(struct lf_locate **out, const struct lf_locate_question *question,
                                  struct lf_error *err);

/* Readable when there is something for lf_locate_go_on(). */
int lf_locate_fd(const struct lf_locate *locate);
/* When lf_locate_go_on() is to be called at the latest; monotonic. */
int64_t lf_locate_deadline_ms(const struct lf_locate *locate);

/* True: the answer is there, or will never be.  Does not wait. */
bool lf_locate_go_on(struct lf_locate *locate);

/* The same, waiting for it, but not longer than this (monotonic).  False: it was too early. */
bool lf_locate_wait(struct lf_locate *locate, int64_t until_ms);

/* What was said of the i-th address, in UTF-8; valid until lf_locate_end(). */
struct lf_source lf_locate_answer(const struct lf_locate *locate, size_t i);

/* Kills it where it still lives.  Waits for its end for a moment at most: a process that the kernel holds back
 * is buried with a later one.  NULL is fine. */
void lf_locate_end(struct lf_locate *locate);

#endif

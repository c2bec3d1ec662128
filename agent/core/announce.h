/* Telling what is not printed: a message that is muted, sampled or limited is told when it begins to be
 * so, from time to time as long as calls of it are left out, and when it is over.
 *
 *     muted: 3f2a9c01b7…  user %s in: 12 calls since 12:00:05
 *     muted: 3f2a9c01b7…  user %s in: 1234 calls since 12:00:06
 *     muted no more: 3f2a9c01b7…  user %s in: 1302 calls in all since 12:00:05
 *
 * The repeats of a folded message that its process does not tell itself, as it printed nothing more on that
 * stream for a while, are told here, once:
 *
 *     folded: 3f2a9c01b7…  user %s in … repeated 12 times in 30.0 s
 *
 * A drain feeds it, a look tells, to the reporter: of each kind at most LF_ANNOUNCE_LINES messages at once,
 * those with the most calls, and what more there is in one line.  Memory is bounded by
 * LF_ANNOUNCE_MESSAGES; what is beyond is told without its name.
 *
 * Belongs to one thread.
 */
#ifndef LOGFOLD_CORE_ANNOUNCE_H
#define LOGFOLD_CORE_ANNOUNCE_H

#include <stdbool.h>

#include "agent/core/reporter.h"
#include "agent/map/flags.h"
#include "logfold/entry.h"
#include "logfold/error.h"

struct lf_announcer;

enum {
	LF_ANNOUNCE_LINES = 20,
	LF_ANNOUNCE_MESSAGES = 4096,
	LF_ANNOUNCE_INTERVAL_S = 60,
};

/* interval_s 0: only when it begins and when it is over.  `now_ms` is the wall clock. */
LF_MUST_CHECK int lf_announcer_new(struct lf_announcer **out, const struct lf_reporter *reporter,
                                   unsigned interval_s, uint64_t now_ms, struct lf_error *err);
void lf_announcer_free(struct lf_announcer *announcer); /* NULL is fine */
void lf_announcer_set_interval(struct lf_announcer *announcer, unsigned interval_s);

/* ---- What a drain feeds ---- */

struct lf_announced {
	uint64_t namespace_key; /* lf_flags_namespace_key() */
	struct lf_id id;
	enum lf_outcome outcome; /* LF_MUTED, LF_SAMPLED, LF_LIMITED */
};

/* So many calls more; true when it has to be told what the message is, by the next. */
bool lf_announcer_add(struct lf_announcer *announcer, const struct lf_announced *what, uint64_t calls);
void lf_announcer_name(struct lf_announcer *announcer, const struct lf_announced *what,
                       struct lf_text template);

/* The repeats of a fold; told at once, as far as there are lines left until the next
 * lf_announcer_end_folds(), which tells of the rest. */
void lf_announcer_fold(struct lf_announcer *announcer, const struct lf_id *id, struct lf_text template,
                       uint32_t repeats, uint32_t over_ms);
void lf_announcer_end_folds(struct lf_announcer *announcer);

/* ---- Telling ---- */

/* What has begun, what goes on when it is time for that, and what is over by what the flags table says (NULL:
 * nobody knows): that is told one look later, when the last calls have come in. */
void lf_announcer_look(struct lf_announcer *announcer, const struct lf_flags *flags, uint64_t now_ms);

/* The agent ends: of each how many there were in all. */
void lf_announcer_end(struct lf_announcer *announcer);

#endif

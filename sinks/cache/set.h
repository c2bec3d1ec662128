/* Changes that need not know what was there. */
#ifndef LOGFOLD_SINKS_CACHE_SET_H
#define LOGFOLD_SINKS_CACHE_SET_H

#include "sinks/cache/commands.h"
#include "sinks/cache/internal.h"

enum { LF_SET_MAX = 128 };

/* Whether the command is one: a SET without conditions, and with a time of its own. */
bool lf_set_is_blind(const struct lf_command *command);

/* Sets up to LF_SET_MAX keys, each by its command, in one round trip to each tier; whoever set one of them before,
 * whatever his clock, these are later.  0, or a failure: then any of them may be set. */
LF_MUST_CHECK int lf_set_all(struct lf_cache_space *space, const struct lf_text *keys, const struct lf_command *commands,
                             size_t count, int64_t end_ms, struct lf_error *err);

#endif

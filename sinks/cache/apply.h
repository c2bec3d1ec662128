/* What the files of the commands share. */
#ifndef LOGFOLD_SINKS_CACHE_APPLY_H
#define LOGFOLD_SINKS_CACHE_APPLY_H

#include "sinks/cache/commands.h"

/* One command on one record. */
struct lf_apply {
	const struct lf_command *command;
	const struct lf_record *before; /* NULL: there is nothing to read */
	struct lf_version version;
	int64_t now_ms;
};

/* The type is checked, where there is something. */
LF_MUST_CHECK int lf_apply_type(const struct lf_record *before, enum lf_record_type want, struct lf_error *err);

/* The value takes the place of that before: with its TTL, its tags and all else, where there is one.  What would have
 * expired is removed instead. */
LF_MUST_CHECK int lf_apply_value(const struct lf_apply *apply, enum lf_record_type type, struct lf_text value,
                                 struct lf_command_result *out, struct lf_error *err);
/* Over value_max. */
LF_MUST_CHECK int lf_apply_too_big(const struct lf_command *command, struct lf_error *err);

LF_MUST_CHECK int lf_apply_number(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err);
LF_MUST_CHECK int lf_apply_hset(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err);
LF_MUST_CHECK int lf_apply_hdel(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err);

#endif

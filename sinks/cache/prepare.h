/* What the files of the public commands share. */
#ifndef LOGFOLD_SINKS_CACHE_PREPARE_H
#define LOGFOLD_SINKS_CACHE_PREPARE_H

#include "sinks/cache/commands.h"
#include "sinks/cache/internal.h"

/* When a value of the space's class ends that is made now; 0: never. */
int64_t lf_prepare_class_end(const struct lf_cache_space *space);

/* A command other than SET, with what a key gets that is made by it; the rest is the caller's to fill in. */
LF_MUST_CHECK int lf_prepare_change(struct lf_cache_space *space, struct lf_text id, enum lf_command_kind kind,
                                    struct lf_command *out);

#endif

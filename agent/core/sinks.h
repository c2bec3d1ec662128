/* Finding the sinks: the one in memory is ours, the others are modules, looked for beside the command
 * and where it was installed. */
#ifndef LOGFOLD_CORE_SINKS_H
#define LOGFOLD_CORE_SINKS_H

#include "sinks/sink.h"

/* The sink in memory: sinks/memory.c. */
extern const struct lf_sink_ops lf_sink_memory;

/* `name` as in agent.toml: memory, mongo, redis.  The module stays loaded.  -ENOENT: there is no such
 * module; -ENOEXEC: it is no sink, or of another version. */
LF_MUST_CHECK int lf_sink_find(const char *name, const struct lf_sink_ops **out,
                               struct lf_error *err);

#endif

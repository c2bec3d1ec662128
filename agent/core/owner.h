/* Whether the process that owns a segment still lives. */
#ifndef LOGFOLD_CORE_OWNER_H
#define LOGFOLD_CORE_OWNER_H

#include <stdbool.h>

#include "agent/map/process_id.h"

/* The kernel that we run under, and the process ids that we see. */
struct lf_host {
	char boot_id[33];
	uint64_t pid_namespace;
};

void lf_host_read(struct lf_host *out);

/* True only when it is certain: the machine was started anew since, or no process with that id and
 * start time is left.  `owner` is from the segment's name, `pid_namespace` from its header (0 when it
 * has none).  A zombie without threads is dead: it will not count again.  In another time namespace
 * start times are others: there a process id that is in use counts as its owner's. */
bool lf_owner_is_dead(const struct lf_host *host, const struct lf_process_id *owner,
                      uint64_t pid_namespace);

/* The same, for an owner that is asked for again and again.  *watch, -1 at first, is from then on a
 * descriptor that knows of its end, so that most answers take one call; not where the process has half of
 * its descriptors open already.  It is released when the answer is true, or by lf_owner_unwatch(). */
bool lf_owner_has_died(const struct lf_host *host, const struct lf_process_id *owner,
                       uint64_t pid_namespace, int *watch);
void lf_owner_unwatch(int *watch);

/* Whether the segment was made before the machine was last started. */
bool lf_owner_is_of_another_boot(const struct lf_host *host, const struct lf_process_id *owner);

#endif

/* First in, first out: using it changes nothing, nor does storing its key anew. */
#include "sinks/cache/policy.h"

const struct lf_policy_ops lf_policy_fifo = {
	.added = lf_policy_put,
	.used = lf_policy_leave_alone,
	.removed = lf_policy_take,
	.victim = lf_policy_last,
};

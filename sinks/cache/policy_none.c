/* Nobody goes: at its limit the tier refuses. */
#include "sinks/cache/policy.h"

static struct lf_node *nobody(struct lf_policy *policy)
{
	(void)policy;
	return NULL;
}

const struct lf_policy_ops lf_policy_none = {
	.added = lf_policy_leave_alone,
	.used = lf_policy_leave_alone,
	.removed = lf_policy_leave_alone,
	.victim = nobody,
};

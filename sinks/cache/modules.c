#include "sinks/cache/modules.h"

#include <errno.h>
#include <string.h>

#include "sinks/module.h"

static const char *const names[LF_CACHE_TIERS] = { [LF_CACHE_REDIS] = "redis", [LF_CACHE_MONGO] = "mongo" };

int lf_tier_find(enum lf_cache_tier which, const struct lf_tier_ops **out, struct lf_error *err)
{
	const char *name = (unsigned)which < LF_CACHE_TIERS ? names[which] : NULL;
	const struct lf_tier_ops *found;
	const void *object;
	int rc;

	if (!name)
		return lf_fail(err, -ENOENT, "tier %d is no module", (int)which);
	rc = lf_module_load(name, LF_TIER_MODULE, &object, err);
	if (rc < 0)
		return rc;
	found = object;
	if (found->abi != LF_TIER_ABI || strcmp(found->name, name) != 0)
		return lf_module_is_other(name, err);
	*out = found;
	return 0;
}

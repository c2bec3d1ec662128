#include "agent/core/sinks.h"

#include <string.h>

#include "sinks/module.h"

int lf_sink_find(const char *name, const struct lf_sink_ops **out, struct lf_error *err)
{
	const struct lf_sink_ops *found;
	const void *object;
	int rc;

	if (strcmp(name, lf_sink_memory.name) == 0) {
		*out = &lf_sink_memory;
		return 0;
	}
	rc = lf_module_load(name, LF_SINK_MODULE, &object, err);
	if (rc < 0)
		return rc;
	found = object;
	if (found->abi != LF_SINK_ABI || strcmp(found->name, name) != 0)
		return lf_module_is_other(name, err);
	*out = found;
	return 0;
}

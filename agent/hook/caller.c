#include "agent/hook/caller.h"

const void *lf_caller_of_wrapper(const void *ret, const void *frame)
{
	(void)frame;
	return ret;
}

const void *lf_caller_unskipped(struct lf_process *process, const void *ret)
{
	(void)process;
	return ret;
}

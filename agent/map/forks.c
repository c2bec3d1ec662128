#include "agent/map/forks.h"

#include <sys/auxv.h>

#include "hashing/sys.h"

int lf_forks_wipe(void *pages, size_t bytes)
{
	if (getauxval(AT_PAGESZ) != LF_PAGE_BYTES)
		return -EINVAL;
	return lf_sys_madvise(pages, bytes, MADV_WIPEONFORK);
}

bool lf_forks_share_memory(_Atomic uint32_t *pid)
{
	uint32_t self = (uint32_t)lf_sys_getpid(), known = 0;

	return !atomic_compare_exchange_strong_explicit(pid, &known, self, memory_order_relaxed,
	                                                memory_order_relaxed) &&
	       known != self;
}

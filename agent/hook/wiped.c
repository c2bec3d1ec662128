#include "agent/hook/wiped.h"

#include <sys/auxv.h>

#include "hashing/sys.h"

struct lf_wiped lf_wiped __attribute__((aligned(LF_PAGE_BYTES)));
_Atomic uint32_t lf_fd_classes[LF_CONSOLE_FDS] __attribute__((aligned(LF_PAGE_BYTES)));
_Static_assert(sizeof(lf_wiped) == LF_PAGE_BYTES && sizeof(lf_fd_classes) == LF_PAGE_BYTES,
               "the pages hold nothing else");

int lf_wiped_start(void)
{
	int rc;

	if (getauxval(AT_PAGESZ) != LF_PAGE_BYTES)
		return -EINVAL;
	rc = lf_sys_madvise(&lf_wiped, sizeof(lf_wiped), MADV_WIPEONFORK);
	return rc < 0 ? rc : lf_sys_madvise(lf_fd_classes, sizeof(lf_fd_classes), MADV_WIPEONFORK);
}

bool lf_wiped_is_shared(void)
{
	uint32_t self = (uint32_t)lf_sys_getpid(), known = 0;

	return !atomic_compare_exchange_strong_explicit(&lf_wiped.pid, &known, self,
	                                                memory_order_relaxed,
	                                                memory_order_relaxed) &&
	       known != self;
}

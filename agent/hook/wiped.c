#include "agent/hook/wiped.h"

#include "agent/hook/quiet.h"

struct lf_wiped lf_wiped __attribute__((aligned(LF_PAGE_BYTES)));
_Atomic uint32_t lf_fd_classes[LF_CONSOLE_FDS] __attribute__((aligned(LF_PAGE_BYTES)));
_Static_assert(sizeof(lf_wiped) == LF_PAGE_BYTES && sizeof(lf_fd_classes) == LF_PAGE_BYTES,
               "the pages hold nothing else");

int lf_wiped_start(void)
{
	int rc = lf_forks_wipe(&lf_wiped, sizeof(lf_wiped));

	if (rc == 0)
		rc = lf_forks_wipe(&lf_quiet_all, sizeof(lf_quiet_all));
	return rc < 0 ? rc : lf_forks_wipe(lf_fd_classes, sizeof(lf_fd_classes));
}

bool lf_wiped_is_shared(void)
{
	return lf_forks_share_memory(&lf_wiped.pid);
}

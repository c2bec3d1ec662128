/* The time, for limits and folds: CLOCK_MONOTONIC, by libc's own call, which asks the kernel only
 * where there is no vDSO. */
#ifndef LOGFOLD_HOOK_CLOCK_H
#define LOGFOLD_HOOK_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "agent/hook/libc.h"

static inline uint64_t lf_hook_now_ms(void)
{
	struct timespec now = { 0 };

	(void)lf_real_clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif

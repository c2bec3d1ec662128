/* How long the first sight of a call site takes, once its module is indexed, beside glibc's dladdr,
 * which looks in memory at exported names only.  Also what indexing a module costs.
 *
 * Fails (exit status 1) above the budget of 50 us. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hashing/frame.h"
#include "hashing/symbols.h"
#include "hashing/sys.h"

enum { SITES = 20000, BUILDS = 50, BUDGET_NS = 50000 };

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static double median_us(uint64_t *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return (double)values[count / 2] / 1000;
}

static const Elf64_Phdr *code_of(const struct lf_module *module)
{
	for (size_t i = 0; i < module->header_count; i++) {
		if (module->headers[i].p_type == PT_LOAD && module->headers[i].p_flags & PF_X)
			return &module->headers[i];
	}
	return NULL;
}

static bool time_building(const char *what, const struct lf_module *module)
{
	static uint64_t took[BUILDS];
	struct lf_symbols *symbols;
	struct stat st;
	int fd = lf_module_open(module, &st);
	size_t functions = 0;

	if (fd < 0)
		return false;
	for (size_t i = 0; i < BUILDS; i++) {
		took[i] = now_ns();
		symbols = lf_symbols_build(module, fd, &st);
		took[i] = now_ns() - took[i];
		functions = symbols ? symbols->count : 0;
		lf_symbols_free(symbols);
	}
	(void)lf_sys_close(fd);
	printf("index of %s: %zu functions, median %.0f us\n", what, functions,
	       median_us(took, BUILDS));
	return true;
}

/* Addresses all over the module's code, each asked once of either, in turns. */
static bool time_sites(const char *what, const struct lf_module *module)
{
	static uint64_t ours[SITES], peer[SITES];
	const Elf64_Phdr *code = code_of(module);
	char frame[LF_FRAME_MAX];
	double ours_us, peer_us;
	const char *site;
	Dl_info info;

	if (!code)
		return false;
	(void)lf_frame_of((const char *)(module->base + code->p_vaddr + 1), frame);
	for (uint64_t i = 0; i < SITES; i++) {
		site = (const char *)(module->base + code->p_vaddr +
				      (i * 7919 + 1) % code->p_filesz);
		ours[i] = now_ns();
		(void)lf_frame_of(site, frame);
		ours[i] = now_ns() - ours[i];
		peer[i] = now_ns();
		(void)dladdr(site, &info);
		peer[i] = now_ns() - peer[i];
	}
	ours_us = median_us(ours, SITES);
	peer_us = median_us(peer, SITES);
	printf("first sight in %s: median %.1f us, 99th percentile %.1f us; dladdr %.1f us, ratio "
	       "%.1f\n",
	       what, ours_us, (double)ours[SITES / 100 * 99] / 1000, peer_us, ours_us / peer_us);
	return ours_us * 1000 <= BUDGET_NS;
}

int main(void)
{
	struct lf_module own, libc;

	if (!lf_module_find((const void *)(uintptr_t)&main, &own) ||
	    !lf_module_find((const void *)(uintptr_t)&strtoull, &libc))
		return 1;
	return time_building("this program", &own) && time_building("libc", &libc) &&
			       time_sites("this program", &own) && time_sites("libc", &libc)
		       ? 0
		       : 1;
}

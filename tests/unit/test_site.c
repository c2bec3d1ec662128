#include "agent/hook/site.h"

#include <criterion/criterion.h>

#define RET(n) ((const void *)(uintptr_t)(0x400000 + 16 * (n)))

static struct lf_site_cache cache;

static void start(void)
{
	cr_assert(lf_sites_init(&cache));
}

Test(site, a_site_is_known_by_return_address_text_method_and_length, .init = start)
{
	uint64_t text = lf_site_text("format", 3);

	lf_site_add(&cache, RET(1), text, 5, 77);
	cr_assert_eq(lf_site_find(&cache, RET(1), text, 5), 77);
	cr_assert_eq(lf_site_find(&cache, RET(2), text, 5), 0);
	cr_assert_eq(lf_site_find(&cache, RET(1), lf_site_text("format", 4), 5), 0);
	cr_assert_eq(lf_site_find(&cache, RET(1), lf_site_text("other", 3), 5), 0);
	cr_assert_eq(lf_site_find(&cache, RET(1), text, 6), 0);
}

Test(site, thousands_of_sites_are_found_again_once_the_table_has_grown_to_them, .init = start)
{
	enum { MANY = 20000 };
	unsigned near = 0;

	/* A table that grows forgets; the next rounds teach it what it forgot. */
	for (int round = 0; round < 4; round++)
		for (uint64_t i = 1; i <= MANY; i++)
			if (!lf_site_find(&cache, RET(i), lf_site_text(RET(3 * i), 1), 0))
				lf_site_add(&cache, RET(i), lf_site_text(RET(3 * i), 1), 0, i * 8);
	for (uint64_t i = 1; i <= MANY; i++) {
		uint64_t text = lf_site_text(RET(3 * i), 1);

		cr_assert_eq(lf_site_find(&cache, RET(i), text, 0), i * 8, "site %lu", i);
		near += lf_site_find_near(cache.sites, RET(i), text, 0) != 0;
	}
	cr_assert_gt(near, MANY / 2, "the short way finds only %u", near);
}

Test(site, unloading_a_module_empties_the_cache_and_nothing_is_added_meanwhile, .init = start)
{
	uint64_t text = lf_site_text("format", 3);

	lf_site_add(&cache, RET(1), text, 0, 8);
	lf_sites_unload_begin(&cache);
	cr_assert_eq(lf_site_find(&cache, RET(1), text, 0), 0);
	lf_site_add(&cache, RET(1), text, 0, 16);
	cr_assert_eq(lf_site_find(&cache, RET(1), text, 0), 0);
	lf_sites_unload_end(&cache);
	lf_site_add(&cache, RET(1), text, 0, 24);
	cr_assert_eq(lf_site_find(&cache, RET(1), text, 0), 24);
}

Test(site, a_library_that_is_loaded_again_and_again_at_one_address_takes_no_more_room, .init = start)
{
	enum { SITES = 50, ROUNDS = 1000 };

	for (int round = 0; round < ROUNDS; round++) {
		for (uint64_t i = 1; i <= SITES; i++)
			lf_site_add(&cache, RET(i), lf_site_text(RET(3 * i), 1), 0, i * 8);
		lf_sites_unload_begin(&cache);
		lf_sites_unload_end(&cache);
	}
	cr_assert_eq(atomic_load(&cache.sites->used), SITES);
}

Test(site, libraries_that_come_and_go_at_ever_new_addresses_do_not_make_the_table_grow, .init = start)
{
	uint32_t first = cache.sites->mask;

	for (uint64_t i = 1; i <= 100000; i++) {
		lf_site_add(&cache, RET(i), lf_site_text(RET(3 * i), 1), 0, i * 8);
		cr_assert_eq(lf_site_find(&cache, RET(i), lf_site_text(RET(3 * i), 1), 0), i * 8);
		if (i % 20 == 0) {
			lf_sites_unload_begin(&cache);
			lf_sites_unload_end(&cache);
		}
	}
	cr_assert_leq(cache.sites->mask, 2 * first + sizeof(struct lf_site));
}

Test(site, unloading_a_module_forgets_the_steps_out_of_wrappers_too, .init = start)
{
	lf_step_put(&cache, RET(1), 77);
	lf_step_put(&cache, RET(2), 78);
	cr_assert_eq(cache.steps[(uintptr_t)RET(1) % LF_STEPS], 77);
	lf_sites_unload_begin(&cache);
	lf_step_put(&cache, RET(3), 79);
	for (unsigned i = 0; i < LF_STEPS; i++)
		cr_assert_eq(cache.steps[i], 0);
	lf_sites_unload_end(&cache);
	lf_step_put(&cache, RET(1), 80);
	cr_assert_eq(cache.steps[(uintptr_t)RET(1) % LF_STEPS], 80);
}

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/map/verbatim.h"
#include "tests/unit/host_fixture.h"

static struct lf_scratches scratches;

static struct lf_map *new_map(void)
{
	struct lf_map_options options = { .run_dir = host_run_dir(), .namespace = "unit" };
	char segments[256];
	struct lf_map *map;

	(void)snprintf(segments, sizeof(segments), "%s/segments", host_run_dir());
	(void)mkdir(segments, 0700);
	cr_assert_eq(lf_map_create(&map, &options), 0);
	return map;
}

static struct lf_slot *slot_of(struct lf_map *map, const char *template, uint32_t fixed_len)
{
	struct lf_map_key key = {
		.method = lf_map_intern(map, (struct lf_text){ "m", 1 }),
		.frame = lf_map_intern(map, (struct lf_text){ "f", 1 }),
		.template = { template, strlen(template) },
	};

	return lf_map_verbatim(map, &scratches, key, LF_KIND_FORMAT, fixed_len);
}

Test(verbatim, texts_that_come_to_one_template_are_one_entry_of_no_fixed_length)
{
	struct lf_map *map = new_map();
	struct lf_slot *clean = slot_of(map, "caf\\xe9", 8), *escaped = slot_of(map, "caf\xe9", 5);

	cr_assert_eq(clean, escaped);
	cr_assert_eq(slot_of(map, "na\xefve", 6)->fixed_len, 0);
	cr_assert_eq(slot_of(map, "plain", 6)->fixed_len, 6);
	cr_assert_eq(atomic_load(&scratches.taken), 0, "the room was given back");
}

Test(verbatim, without_room_a_text_that_needs_some_has_no_slot_and_others_have)
{
	struct lf_scratch *taken[LF_SCRATCHES];
	struct lf_map *map = new_map();

	for (int i = 0; i < LF_SCRATCHES; i++)
		cr_assert_not_null(taken[i] = lf_scratches_take(&scratches));
	cr_assert_null(lf_scratches_take(&scratches));
	cr_assert_null(slot_of(map, "caf\xe9", 0));
	cr_assert_not_null(slot_of(map, "coffee", 0));
	lf_scratches_give(&scratches, taken[7]);
	cr_assert_not_null(slot_of(map, "caf\xe9", 0));
}

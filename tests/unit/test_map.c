#include "agent/map/map.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/map/run_dir.h"
#include "hashing/entry_id.h"
#include "tests/unit/host_fixture.h"

static struct lf_map *new_map(uint32_t entries_max)
{
	struct lf_map_options options = { .run_dir = host_run_dir(),
		                          .namespace = "unit",
		                          .entries_max = entries_max };
	struct lf_map *map;

	cr_assert_eq(lf_run_dir_make(host_run_dir()), 0);
	cr_assert_eq(lf_map_create(&map, &options), 0);
	return map;
}

static struct lf_map_key key_of(struct lf_map *map, const char *template)
{
	struct lf_map_key key = {
		.method = lf_map_intern(map, (struct lf_text){ "printf", 6 }),
		.frame = lf_map_intern(map, (struct lf_text){ "a!main", 6 }),
		.template = { template, strlen(template) },
	};

	key.hash = lf_map_hash(key.template);
	return key;
}

Test(map, a_string_is_kept_once)
{
	struct lf_map *map = new_map(0);

	cr_assert_eq(lf_map_intern(map, (struct lf_text){ "printf", 6 }),
	             lf_map_intern(map, (struct lf_text){ "printf", 6 }));
	cr_assert_neq(lf_map_intern(map, (struct lf_text){ "printf", 6 }),
	              lf_map_intern(map, (struct lf_text){ "print", 5 }));
}

Test(map, an_entry_is_found_again_by_method_template_and_frame)
{
	struct lf_map *map = new_map(0);
	struct lf_map_key key = key_of(map, "hello %s\n"), other = key_of(map, "hello %d\n");
	struct lf_slot *slot = lf_map_add(map, &key, LF_KIND_FORMAT, 0);

	cr_assert_not_null(slot);
	cr_assert_eq(lf_map_find(map, &key), slot);
	cr_assert_null(lf_map_find(map, &other));
	other = key;
	other.frame = other.method;
	cr_assert_null(lf_map_find(map, &other));
}

Test(map, a_reader_of_the_file_sees_what_was_counted_while_the_owner_lives)
{
	struct lf_map *map = new_map(0);
	struct lf_map_key key = key_of(map, "hello %s\n");
	struct lf_slot *slot = lf_map_add(map, &key, LF_KIND_FORMAT, 0);

	for (int i = 0; i < 5; i++)
		lf_slot_count(slot, LF_PASSED);
	lf_slot_count(slot, LF_MUTED);
	lf_map_count_overflow(map, LF_PASSED, 7);
	cr_assert_eq(host_count("hello %s\n", LF_PASSED), 5);
	cr_assert_eq(host_count("hello %s\n", LF_MUTED), 1);
	cr_assert_eq(host_total(LF_PASSED), 12);
}

Test(map, the_slot_carries_the_id_that_anyone_computes_from_the_texts)
{
	struct lf_map *map = new_map(0);
	struct lf_map_key key = key_of(map, "hello %s\n");
	struct lf_identity identity = { { "printf", 6 }, key.template, { "a!main", 6 } };
	struct lf_id id;

	lf_entry_id(&identity, &id);
	cr_assert_arr_eq(lf_map_add(map, &key, LF_KIND_FORMAT, 0)->id.bytes, id.bytes,
	                 LF_ID_BYTES);
}

Test(map, it_grows_by_chunks_and_keeps_every_entry)
{
	enum { MANY = 5000 };
	struct lf_map *map = new_map(0);
	char template[64];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(template, sizeof(template), "message number %d of many\n", i);
		struct lf_map_key key = key_of(map, template);

		lf_slot_count(lf_map_add(map, &key, LF_KIND_FORMAT, 0), LF_PASSED);
	}
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(template, sizeof(template), "message number %d of many\n", i);
		struct lf_map_key key = key_of(map, template);
		struct lf_slot *slot = lf_map_find(map, &key);

		cr_assert_not_null(slot, "%s", template);
		cr_assert_eq(slot->counts[LF_PASSED], 1);
	}
	cr_assert_eq(host_entries(), MANY);
	cr_assert_eq(host_total(LF_PASSED), MANY);
}

Test(map, a_full_map_refuses_new_entries_and_keeps_counting_old_ones)
{
	struct lf_map *map = new_map(2);
	struct lf_map_key first = key_of(map, "one\n"), second = key_of(map, "two\n");
	struct lf_map_key third = key_of(map, "three\n");
	struct lf_slot *slot = lf_map_add(map, &first, LF_KIND_FORMAT, 0);

	cr_assert_not_null(lf_map_add(map, &second, LF_KIND_FORMAT, 0));
	cr_assert_null(lf_map_add(map, &third, LF_KIND_FORMAT, 0));
	lf_slot_count(slot, LF_PASSED);
	cr_assert_eq(host_count("one\n", LF_PASSED), 1);
}

Test(map, a_directory_that_is_not_there_is_an_error_that_leaves_nothing)
{
	struct lf_map_options options = { .run_dir = "/tmp/logfold-no-such-directory",
		                          .namespace = "unit" };
	struct lf_map *map = NULL;

	cr_assert_eq(lf_map_create(&map, &options), -ENOENT);
	cr_assert_null(map);
}

Test(map, its_private_memory_stays_below_the_budget_of_an_entry)
{
	enum { MANY = 10000, FIXED = 128 * 1024, PER_ENTRY = 256 };
	struct lf_map *map = new_map(0);
	char template[64];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(template, sizeof(template), "message number %d of many, %%s\n", i);
		struct lf_map_key key = key_of(map, template);

		cr_assert_not_null(lf_map_add(map, &key, LF_KIND_FORMAT, 0));
	}
	/* The site cache's part (32-byte cells, at least 3/8 full, and the outgrown tables). */
	cr_assert_lt(lf_map_private_bytes(map) + lf_map_shared_bytes(map) + MANY * 32 * 8 / 3,
	             FIXED + MANY * PER_ENTRY);
}

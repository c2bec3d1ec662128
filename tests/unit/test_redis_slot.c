#include "sinks/redis/slot.h"

#include <criterion/criterion.h>
#include <string.h>

static uint16_t slot(const char *key)
{
	return lf_redis_slot(key, strlen(key));
}

Test(redis_slot, the_checksum_is_the_one_of_the_cluster_specification)
{
	cr_assert_eq(lf_redis_crc16("123456789", 9), 0x31c3);
	cr_assert_eq(lf_redis_crc16("", 0), 0);
}

/* As CLUSTER KEYSLOT answers. */
Test(redis_slot, keys_are_in_the_slots_that_a_server_names)
{
	cr_assert_eq(slot("foo"), 12182);
	cr_assert_eq(slot("bar"), 5061);
	cr_assert_eq(slot("hello"), 866);
	cr_assert_eq(slot(""), 0);
}

Test(redis_slot, what_stands_between_the_first_braces_decides)
{
	cr_assert_eq(slot("logfold:shop:entry:{foo}"), slot("foo"));
	cr_assert_eq(slot("{foo}{bar}"), slot("foo"));
	cr_assert_eq(slot("a{foo}b}"), slot("foo"));
	cr_assert_eq(slot("{{foo}"), slot("{foo"));
}

Test(redis_slot, braces_that_are_empty_or_open_are_part_of_the_key)
{
	cr_assert_eq(slot("{}foo"), lf_redis_crc16("{}foo", 5) % LF_REDIS_SLOTS);
	cr_assert_eq(slot("{foo"), lf_redis_crc16("{foo", 4) % LF_REDIS_SLOTS);
	cr_assert_eq(slot("foo}"), lf_redis_crc16("foo}", 4) % LF_REDIS_SLOTS);
}

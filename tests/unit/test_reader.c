#include "agent/map/reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hashing/entry_id.h"
#include "tests/unit/segment_fixture.h"

static struct fixture_segment segment;
static struct lf_reader *reader;
static int segments_fd;
static struct lf_error why;

static void set_up(void)
{
	fixture_segment(&segment, fixture_path("run"), OWNER_LIVES);
	segments_fd = open(fixture_path("run/segments"), O_RDONLY | O_DIRECTORY);
	cr_assert_eq(lf_reader_new(&reader, segment.name, LF_READER_OURS), 0);
}

static void tear_down(void)
{
	lf_reader_free(reader);
	fixture_remove();
}

TestSuite(reader, .init = set_up, .fini = tear_down, .timeout = 30);

static int read_it(void)
{
	why.text[0] = '\0';
	return lf_reader_read(reader, segments_fd, 1000, &why);
}

static struct lf_slot *add(const char *template)
{
	return fixture_slot(&segment, "printf", template, "prog!main", LF_KIND_FORMAT);
}

static void expect_bad(const char *reason)
{
	int rc = read_it();

	cr_assert_eq(rc, -EBADMSG, "rc %d, expected -EBADMSG (%s)", rc, reason);
	cr_assert_not_null(strstr(why.text, reason), "\"%s\", expected \"%s\"", why.text, reason);
}

Test(reader, what_was_counted_is_read_with_the_id_of_the_text)
{
	struct lf_slot *slot = add("user %d in\n");
	struct lf_identity identity = { { "printf", 6 }, { "user %d in\n", 11 }, { "prog!main", 9 } };
	struct lf_counts seen;
	struct lf_id id;

	slot->counts[LF_PASSED] = 41;
	slot->counts[LF_MUTED] = 1;
	segment.memory->overflow[LF_PASSED] = 7;
	cr_assert_eq(read_it(), 0, "%s", why.text);
	seen = lf_counters_get(lf_reader_counters(reader), 0, 0);
	cr_assert_eq(seen.of[LF_PASSED], 41);
	cr_assert_eq(seen.of[LF_MUTED], 1);
	cr_assert_eq(lf_reader_counters(reader)->overflow.of[LF_PASSED], 7);
	lf_entry_id(&identity, &id);
	cr_assert_eq(memcmp(lf_reader_id(reader, 0, 0), &id, sizeof(id)), 0);
	cr_assert_str_eq(lf_reader_header(reader).namespace, "shop");
}

Test(reader, the_id_that_stands_in_the_slot_is_not_believed)
{
	struct lf_slot *slot = add("true text");

	memset(&slot->id, 0x55, sizeof(slot->id));
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert_neq(memcmp(lf_reader_id(reader, 0, 0), &slot->id, sizeof(slot->id)), 0);
}

Test(reader, the_texts_of_an_entry_are_read_back_on_demand)
{
	struct lf_reader_entry entry;

	(void)add("hello\n");
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert_eq(lf_reader_entry(reader, 0, 0, &entry, &why), 0, "%s", why.text);
	cr_assert_eq(entry.identity.template.len, 6);
	cr_assert_eq(memcmp(entry.identity.template.data, "hello\n", 6), 0);
	cr_assert_eq(memcmp(entry.identity.frame.data, "prog!main", 9), 0);
	cr_assert_eq(entry.kind, LF_KIND_FORMAT);
}

Test(reader, a_slot_that_is_not_ready_is_a_hole_and_is_read_once_it_is)
{
	struct lf_slot *slot = add("late");

	slot->state = LF_SLOT_CLAIMED;
	slot->counts[LF_PASSED] = 3;
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert_null(lf_reader_id(reader, 0, 0));
	cr_assert_eq(lf_counters_total(lf_reader_counters(reader)), 0);
	slot->state = LF_SLOT_READY;
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert_not_null(lf_reader_id(reader, 0, 0));
	cr_assert_eq(lf_counters_total(lf_reader_counters(reader)), 3);
}

Test(reader, entries_of_many_chunks_are_all_read)
{
	char template[64];

	for (int i = 0; i < 2000; i++) {
		(void)snprintf(template, sizeof(template), "message number %d of the program\n", i);
		add(template)->counts[LF_PASSED] = (uint64_t)i;
		if (i % 500 == 0)
			cr_assert_eq(read_it(), 0, "%s", why.text);
	}
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert(segment.chunks > 3, "%u chunks", segment.chunks);
	cr_assert_eq(lf_counters_total(lf_reader_counters(reader)), 1999 * 2000 / 2);
}

Test(reader, an_empty_file_and_one_without_magic_are_unborn)
{
	segment.memory->magic = 0;
	cr_assert_eq(read_it(), -EAGAIN, "%s", why.text);
	cr_assert_not(lf_reader_had_no_room(reader));
	cr_assert_eq(truncate(segment.path, 0), 0);
	cr_assert_eq(read_it(), -EAGAIN, "%s", why.text);
	cr_assert(lf_reader_had_no_room(reader));
}

Test(reader, a_file_of_random_bytes_is_refused)
{
	int fd = open(segment.path, O_WRONLY);
	unsigned char bytes[LF_CHUNK_BYTES];

	srand(7);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(1 + rand() % 255);
	cr_assert_eq(pwrite(fd, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	(void)close(fd);
	expect_bad("does not begin like a segment");
}

Test(reader, a_file_that_is_cut_off_is_refused_and_never_a_signal)
{
	(void)add("text");
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert_eq(truncate(segment.path, 700), 0);
	expect_bad("shorter than its chunks");
	cr_assert_eq(truncate(segment.path, 40), 0);
	expect_bad("cut off");
}

Test(reader, an_impossible_header_is_refused)
{
	struct lf_segment *head = segment.memory;

	head->layout = 9;
	expect_bad("layout");
	head->layout = LF_SEGMENT_LAYOUT;
	head->chunk_bytes = 4096;
	expect_bad("chunks have another size");
	head->chunk_bytes = LF_CHUNK_BYTES;
	head->chunks = 0;
	expect_bad("number of chunks");
	head->chunks = LF_CHUNKS_MAX + 1;
	expect_bad("number of chunks");
	head->chunks = 2;
	expect_bad("shorter than its chunks");
	head->chunks = 1;
	cr_assert_eq(read_it(), 0, "%s", why.text);
}

Test(reader, a_namespace_that_is_no_name_is_refused)
{
	char *name = segment.memory->namespace;

	(void)strcpy(name, "no space");
	expect_bad("namespace");
	name[0] = '\0';
	expect_bad("namespace");
	memset(name, 'a', sizeof(segment.memory->namespace));
	expect_bad("namespace");
	name[LF_NAMESPACE_MAX + 1] = '\0';
	expect_bad("namespace");
	name[LF_NAMESPACE_MAX] = '\0';
	cr_assert_eq(read_it(), 0, "%s", why.text);
}

Test(reader, a_chunk_that_is_fuller_than_it_can_be_is_refused)
{
	segment.memory->chunk.used = 373;
	expect_bad("fuller");
	segment.memory->chunk.used = (uint64_t)LF_CHUNK_BYTES << 32;
	expect_bad("fuller");
	segment.memory->chunk.used = UINT64_MAX;
	expect_bad("fuller");
}

Test(reader, references_that_point_anywhere_else_than_at_text_are_refused)
{
	static const lf_ref wrong[] = { 0, 1, 16, 512, LF_CHUNK_BYTES - 1, LF_CHUNK_BYTES, 999999,
		                        UINT32_MAX };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct lf_slot *slot = add("text");

		slot->template = wrong[i];
		cr_expect_eq(read_it(), -EBADMSG, "reference %u passes", wrong[i]);
		slot->state = LF_SLOT_CLAIMED;
	}
}

static void expect_bad_text(const char *template, size_t len, const char *reason)
{
	struct lf_slot *slot = add("0123456789");
	struct lf_string *string = (struct lf_string *)((char *)segment.memory + slot->template);

	string->len = (uint16_t)len;
	memcpy(string->bytes, template, strlen(template));
	expect_bad(reason);
	slot->state = LF_SLOT_CLAIMED;
}

Test(reader, texts_that_are_too_long_or_not_clean_are_refused)
{
	expect_bad_text("0", LF_TEMPLATE_MAX + 1, "longer");
	expect_bad_text("0", UINT16_MAX, "longer");
	expect_bad_text("bad \xff byte", 9, "UTF-8");
	expect_bad_text("", 30, "UTF-8"); /* runs into what is behind it: NULs */
}

Test(reader, a_kind_that_nobody_knows_is_refused)
{
	add("text")->kind = LF_KIND_COUNT;
	expect_bad("kind");
}

Test(reader, a_chunk_that_loses_entries_is_refused)
{
	(void)add("one");
	(void)add("two");
	cr_assert_eq(read_it(), 0, "%s", why.text);
	segment.memory->chunk.used--;
	expect_bad("fewer entries");
}

Test(reader, what_is_no_regular_file_is_refused_without_blocking)
{
	cr_assert_eq(unlink(segment.path), 0);
	cr_assert_eq(mkfifo(segment.path, 0600), 0);
	expect_bad("regular file");
	cr_assert_eq(unlink(segment.path), 0);
	cr_assert_eq(symlink("/etc/passwd", segment.path), 0);
	expect_bad("symbolic link");
}

Test(reader, a_file_larger_than_a_segment_can_be_is_refused)
{
	cr_assert_eq(truncate(segment.path, (off_t)LF_CHUNKS_MAX * LF_CHUNK_BYTES + 1), 0);
	expect_bad("larger");
}

Test(reader, a_file_that_took_another_ones_name_is_refused)
{
	struct fixture_segment other;

	cr_assert_eq(read_it(), 0, "%s", why.text);
	fixture_segment(&other, fixture_path("run"), OWNER_LIVES);
	cr_assert_eq(rename(other.path, segment.path), 0);
	expect_bad("replaced");
}

Test(reader, a_file_that_is_gone_is_told_from_one_that_is_bad)
{
	cr_assert_eq(unlink(segment.path), 0);
	cr_assert_eq(read_it(), -ENOENT);
}

Test(reader, an_open_line_is_handed_out_and_a_closed_one_is_not)
{
	static struct lf_reader_tail tail;

	fixture_tail(&segment, 0, "fputs", "prog!say", "begun but not", lf_tail_with(LF_LIMITED));
	fixture_tail(&segment, 1, "write.1", "prog!out", "", LF_TAIL_BUSY);
	fixture_tail(&segment, 2, "fputs", "prog!say", "over", 0);
	((struct lf_tail *)((char *)segment.memory + segment.memory->tails[2]))->state = 0;
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert_eq(lf_reader_tail(reader, 0, &tail, &why), 1, "%s", why.text);
	cr_assert_eq(tail.line.len, 13);
	cr_assert_eq(memcmp(tail.line.data, "begun but not", 13), 0);
	cr_assert_eq(memcmp(tail.frame.data, "prog!say", 8), 0);
	cr_assert_eq(tail.outcome, LF_LIMITED);
	cr_assert_eq(lf_reader_tail(reader, 1, &tail, &why), 1, "%s", why.text);
	cr_assert_eq(tail.line.len, 0);
	cr_assert_eq(tail.outcome, LF_PASSED);
	cr_assert_eq(lf_reader_tail(reader, 2, &tail, &why), 0);
	cr_assert_eq(lf_reader_tail(reader, 3, &tail, &why), 0);
}

Test(reader, an_impossible_tail_is_refused)
{
	static struct lf_reader_tail tail;

	fixture_tail(&segment, 0, "fputs", "prog!say", "x", 0);
	((struct lf_tail *)((char *)segment.memory + segment.memory->tails[0]))->state =
		LF_TAIL_BEGUN | (LF_TAIL_BYTES + 1);
	segment.memory->tails[1] = LF_CHUNK_BYTES - 8;
	cr_assert_eq(read_it(), 0, "%s", why.text);
	cr_assert_eq(lf_reader_tail(reader, 0, &tail, &why), -EBADMSG);
	cr_assert_eq(lf_reader_tail(reader, 1, &tail, &why), -EBADMSG);
}

/* Any bytes may come: nothing may crash, and the sanitizers look on. */
Test(reader, no_damage_to_a_segment_can_crash_the_reader)
{
	unsigned refused = 0;

	srand(42);
	for (int i = 0; i < 200; i++)
		(void)add("a text of some length that is good");
	fixture_tail(&segment, 0, "fputs", "prog!say", "open", 0);
	for (int round = 0; round < 3000; round++) {
		static struct lf_reader_tail tail;
		unsigned char *bytes = (unsigned char *)segment.memory;
		size_t size = (size_t)segment.chunks * LF_CHUNK_BYTES;
		size_t where = (size_t)rand() % (round % 2 ? 2000 : size);
		unsigned char saved = bytes[where];
		struct lf_reader *fresh = NULL;

		bytes[where] = (unsigned char)rand();
		cr_assert_eq(lf_reader_new(&fresh, segment.name, LF_READER_OURS), 0);
		refused += lf_reader_read(fresh, segments_fd, 1, &why) < 0;
		refused += lf_reader_tail(fresh, 0, &tail, &why) < 0;
		lf_reader_free(fresh);
		bytes[where] = saved;
	}
	cr_assert(refused > 100, "only %u of 3000 damages were noticed", refused);
}

TestSuite(counters, .timeout = 30);

Test(counters, a_record_gives_back_every_counter)
{
	struct lf_counters counters = { .taken_ms = 123456789 }, back = { 0 };
	uint8_t *record;
	size_t bytes;

	counters.overflow.of[LF_FOLDED] = UINT64_MAX;
	cr_assert_eq(lf_counters_reserve(&counters, 2, 300), 0);
	cr_assert_eq(lf_counters_reserve(&counters, 0, 1), 0);
	for (uint32_t i = 0; i < 300; i++)
		counters.chunk[2].slot[i].of[i % LF_OUTCOME_COUNT] = (uint64_t)1 << (i % 64);
	cr_assert_eq(lf_counters_encode(&counters, &record, &bytes), 0);
	cr_assert_eq(lf_counters_decode(&back, record, bytes), 0);
	cr_assert_eq(back.taken_ms, 123456789);
	cr_assert_eq(back.overflow.of[LF_FOLDED], UINT64_MAX);
	cr_assert_eq(back.chunks, 3);
	for (uint32_t i = 0; i < 300; i++)
		cr_assert_eq(memcmp(&back.chunk[2].slot[i], &counters.chunk[2].slot[i],
		                    sizeof(struct lf_counts)), 0, "slot %u differs", i);
	free(record);
	lf_counters_fini(&counters);
	lf_counters_fini(&back);
}

Test(counters, a_damaged_record_is_refused_and_never_read_beyond_its_end)
{
	struct lf_counters counters = { .taken_ms = 99 }, back = { 0 };
	uint8_t *record;
	size_t bytes;
	unsigned refused = 0;

	cr_assert_eq(lf_counters_reserve(&counters, 1, 50), 0);
	counters.chunk[1].slot[20].of[LF_PASSED] = 1000000;
	cr_assert_eq(lf_counters_encode(&counters, &record, &bytes), 0);
	for (size_t cut = 0; cut < bytes; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, record, cut);
		cr_assert_eq(lf_counters_decode(&back, copy, cut), -EBADMSG, "cut at %zu passes", cut);
		free(copy);
	}
	srand(3);
	for (int round = 0; round < 20000; round++) {
		record[(size_t)rand() % bytes] = (uint8_t)rand();
		refused += lf_counters_decode(&back, record, bytes) < 0;
		lf_counters_fini(&back);
	}
	cr_assert(refused > 100, "only %u damages were noticed", refused);
	free(record);
	lf_counters_fini(&counters);
}

Test(counters, raising_takes_the_higher_of_each_counter)
{
	struct lf_counters a = { 0 }, b = { 0 };

	cr_assert_eq(lf_counters_reserve(&a, 0, 2), 0);
	cr_assert_eq(lf_counters_reserve(&b, 1, 1), 0);
	cr_assert_eq(lf_counters_reserve(&b, 0, 1), 0);
	a.chunk[0].slot[0].of[LF_PASSED] = 5;
	a.chunk[0].slot[1].of[LF_PASSED] = 6;
	b.chunk[0].slot[0].of[LF_PASSED] = 3;
	b.chunk[0].slot[0].of[LF_MUTED] = 9;
	b.chunk[1].slot[0].of[LF_PASSED] = 1;
	cr_assert_eq(lf_counters_raise(&a, &b), 0);
	cr_assert_eq(lf_counters_total(&a), 5 + 6 + 9 + 1);
	lf_counters_fini(&a);
	lf_counters_fini(&b);
}

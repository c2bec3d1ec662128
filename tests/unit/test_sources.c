#include "agent/core/sources.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hashing/module.h"
#include "tests/unit/store_fixture.h"

#define ID "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff"

static struct lf_store *store;
static struct fixture_segment segment;
static struct lf_error why;

static const char *run_dir(void)
{
	return fixture_path("run");
}

static void set_up(void)
{
	store = fixture_store(stored_at());
	fixture_segment(&segment, run_dir(), OWNER_LIVES);
}

static void tear_down(void)
{
	lf_store_close(store);
	fixture_remove();
}

TestSuite(sources, .init = set_up, .fini = tear_down, .timeout = 60);

static struct lf_slot *add(const char *template, const char *source, uint32_t at)
{
	struct lf_slot *slot = fixture_slot(&segment, "printf", template, "p!f", LF_KIND_FORMAT);

	slot->counts[LF_PASSED] = 1;
	slot->source = source ? fixture_string(&segment, source) : 0;
	slot->source_at = at;
	return slot;
}

static void drain(void)
{
	cr_assert_eq(fixture_drain(run_dir(), store), 0, "%s", fixture_all_said());
}

static void expect_sites(const char *expected)
{
	expect_stored("SELECT ifnull(group_concat(module || ' ' || buildId || ' ' || address || ' ' || tried, ','),"
	              " '') FROM sites", expected);
}

static void expect_sources(const char *expected)
{
	expect_stored("SELECT group_concat(ifnull(sourceFile || ':' || sourceLine, '?'), ' ') FROM"
	              " (SELECT * FROM entries ORDER BY messageTemplate)", expected);
}

/* A call of the message at that place, by a process that had not printed it before. */
static int64_t print_at(const char *message, struct lf_site site)
{
	struct lf_addition addition = { .namespace = "shop", .hash = hash_of(message),
		                        .counts = { 1 }, .first_seen_ms = 1, .last_seen_ms = 1 };

	cr_assert_eq(lf_store_begin(store, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_find_site(store, "shop", addition.hash, &site, &addition.source, &why), 0,
	             "%s", why.text);
	addition.site = site.id;
	cr_assert_eq(lf_store_add(store, &addition, LF_ADD_PLAIN, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_commit(store, &why), 0, "%s", why.text);
	free((char *)addition.source.file.data);
	return site.id;
}

static void settle(int64_t site, const char *file, int64_t line)
{
	const struct lf_source found = { { file, strlen(file) }, line };

	cr_assert_eq(lf_store_begin(store, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_settle_site(store, site, &found, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_commit(store, &why), 0, "%s", why.text);
}

/* ---- From the segment ---- */

Test(sources, a_place_in_a_program_waits_in_the_store_until_somebody_looks_at_it)
{
	(void)add("one", ID " /bin/with a space", 0x1234);
	drain();
	expect_sites("/bin/with a space " ID " 4660 0");
	expect_sources("?");
}

Test(sources, a_line_that_the_program_knows_is_the_entrys_at_once)
{
	(void)add("one", "=src/main.c", 17);
	drain();
	expect_sites("");
	expect_sources("src/main.c:17");
	(void)add("one", "=src/other.c", 18); /* another process, say: the first one stays */
	drain();
	expect_sources("src/main.c:17");
}

Test(sources, what_is_no_source_is_none_and_the_segment_counts)
{
	static const char *const wrong[] = {
		"", "=", "-", "- /bin/x", ID, ID " ", ID " bin/x", " /bin/x", "abc /bin/x", "0G /bin/x",
		"00FF /bin/x", ID "  /bin/x", ID " /bin/\xff", "=\xff\xfe", "/bin/x",
		ID ID " /longer/than/a/build/id",
	};
	char template[8];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		(void)snprintf(template, sizeof(template), "t%zu", i);
		(void)add(template, wrong[i], 5);
	}
	(void)add("lineless", "=main.c", 0);
	drain();
	expect_sites("");
	expect_stored("SELECT count(*) || ' ' || count(sourceFile) FROM entries", "17 0");
	cr_assert_eq(fixture_sentences(), 0, "%s", fixture_all_said());
}

Test(sources, a_reference_that_points_elsewhere_is_not_forgiven)
{
	add("one", NULL, 5)->source = 3;
	drain();
	cr_assert(fixture_said("outside of it"), "%s", fixture_all_said());
	cr_assert_eq(fixture_total(store), 0);
}

Test(sources, a_text_of_any_length_is_cut_off_by_nobody_but_refused)
{
	char path[LF_SOURCE_MAX + 2];

	memset(path, 'a', sizeof(path));
	memcpy(path, ID " /", sizeof(ID " /") - 1);
	path[LF_SOURCE_MAX + 1] = '\0';
	(void)add("one", path, 5);
	drain();
	cr_assert(fixture_said("longer than it can be"), "%s", fixture_all_said());
}

/* ---- In the store ---- */

Test(sources, what_is_found_is_every_entrys_of_that_place_and_changes_them)
{
	const struct lf_site here = { 0, 7, "/bin/p", "aa", 16 }, there = { 0, 7, "/bin/p", "aa", 32 };
	int64_t at;

	count_passed(store, "a", 1);
	count_passed(store, "b", 1);
	count_passed(store, "c", 1);
	at = print_at("a", here);
	(void)print_at("b", there);
	cr_assert_eq(print_at("c", here), at);
	settle(at, "main.c", 5);
	expect_sources("main.c:5 ? main.c:5");
	expect_sites("/bin/p aa 16 1,/bin/p aa 32 0");
	expect_stored("SELECT count(*) FROM entries WHERE changed = (SELECT value FROM meta WHERE"
	              " key = 'drainSequence')", "2");
	count_passed(store, "d", 1);
	(void)print_at("d", here); /* known by now */
	expect_sources("main.c:5 ? main.c:5 main.c:5");
	(void)print_at("a", there); /* it has its line */
	expect_sources("main.c:5 ? main.c:5 main.c:5");
}

static void take(void *arg, const struct lf_site *site)
{
	char *out = arg, one[64];

	(void)snprintf(one, sizeof(one), "%u:%s@%u ", (unsigned)site->uid, site->module, site->address);
	(void)strcat(out, one);
}

static void expect_next(int64_t *uid, const char *expected)
{
	char out[256] = "";

	cr_assert_geq(lf_store_next_sites(store, uid, 2, take, out, &why), 0, "%s", why.text);
	cr_assert_str_eq(out, expected);
}

Test(sources, what_was_tried_in_vain_is_tried_again_for_another_build_only)
{
	struct lf_site site = { 0, 7, "/bin/p", "aa", 16 };
	int64_t uid = -1;

	count_passed(store, "a", 1);
	settle(print_at("a", site), "", 0);
	(void)print_at("a", site);
	expect_sites("/bin/p aa 16 1");
	expect_next(&uid, "");
	site.build_id = "bb";
	(void)print_at("a", site);
	expect_sites("/bin/p aa 16 1,/bin/p bb 16 0");
	expect_next(&uid, "7:/bin/p@16 ");
}

Test(sources, a_new_build_of_a_program_whose_lines_are_known_is_nobodys_business)
{
	struct lf_site site = { 0, 7, "/bin/p", "aa", 16 };

	count_passed(store, "a", 1);
	settle(print_at("a", site), "main.c", 5);
	site.build_id = "bb";
	cr_assert_eq(print_at("a", site), 0);
	expect_sites("/bin/p aa 16 1");
	expect_sources("main.c:5");
}

Test(sources, users_take_turns_and_a_place_counts_once)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	int64_t uid = -1;

	for (uint32_t i = 0; i < 6; i++) {
		count_passed(store, names[i], 1);
		(void)print_at(names[i], (struct lf_site){ 0, i == 5 ? 9 : 7, "/bin/p", "aa", i < 2 ? 1 : i });
	}
	expect_stored("SELECT count(*) FROM sites", "5");
	expect_next(&uid, "7:/bin/p@1 7:/bin/p@2 ");
	expect_next(&uid, "9:/bin/p@5 ");
	expect_next(&uid, "7:/bin/p@1 7:/bin/p@2 ");
}

Test(sources, more_entries_of_one_place_than_one_step_takes_wait_for_the_next)
{
	int64_t uid = -1;

	other_program(stored_at(),
	              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
	              " INSERT INTO entries (namespace, hash, method, messageTemplate, templateKind, topFrame,"
	              " firstSeenAt, lastSeenAt, site) SELECT 'shop', i, 'puts', i, 'format', '', '', '', 3"
	              " FROM n; INSERT INTO sites VALUES (3, 7, '/bin/p', 'aa', 16, 0, NULL, NULL)");
	settle(3, "main.c", 5);
	expect_stored("SELECT count(sourceFile) FROM entries", "1024");
	expect_next(&uid, "7:/bin/p@16 ");
	settle(3, "main.c", 5);
	expect_stored("SELECT count(sourceFile) || ' ' || (SELECT tried FROM sites) FROM entries", "1500 1");
}

Test(sources, a_store_that_cannot_say_what_an_entry_lacks_is_damaged)
{
	struct lf_site site = { 0, 7, "/bin/p", "aa", 16 };
	struct lf_source found;

	count_passed(store, "a", 1);
	other_program(stored_at(), "DROP INDEX entriesSite; ALTER TABLE entries RENAME COLUMN sourceFile TO gone");
	cr_assert_eq(lf_store_begin(store, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_find_site(store, "shop", hash_of("a"), &site, &found, &why), -EBADMSG,
	             "%s", why.text);
	lf_store_rollback(store);
}

/* ---- A store of before ---- */

static void make_it_old(void)
{
	count_passed(store, "a", 3);
	lf_store_close(store);
	store = NULL;
	other_program(stored_at(), "DROP INDEX entriesSite; DROP TABLE sites; DROP INDEX entriesRuled;"
	                           " ALTER TABLE entries DROP COLUMN site; PRAGMA user_version = 2");
}

Test(sources, a_store_of_schema_2_is_brought_up_to_date_in_place)
{
	make_it_old();
	store = fixture_store(stored_at());
	expect_stored("PRAGMA user_version", "3");
	(void)print_at("a", (struct lf_site){ 0, 7, "/bin/p", "aa", 16 });
	expect_sites("/bin/p aa 16 0");
	cr_assert_eq(fixture_total(store), 4);
}

Test(sources, to_read_a_store_of_schema_2_is_taken_as_it_is)
{
	char out[64] = "";

	make_it_old();
	cr_assert_eq(lf_store_open(&store, stored_at(), LF_STORE_READ_ONLY, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_site(store, "shop", hash_of("a"), take, out, &why), 0, "%s", why.text);
	cr_assert_eq(fixture_total(store), 3);
	expect_stored("PRAGMA user_version", "2");
}

/* ---- What a module says of itself ---- */

Test(sources, a_loaded_module_knows_its_path_and_its_build_id)
{
	char exe[PATH_MAX], path[LF_MODULE_PATH_MAX], id[LF_BUILD_ID_CHARS];
	struct lf_module module;
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe));

	cr_assert(lf_module_find((const void *)(uintptr_t)&set_up, &module));
	cr_assert_eq(lf_module_path(&module, path), (size_t)len);
	cr_assert_arr_eq(path, exe, (size_t)len);
	cr_assert_eq(lf_module_build_id(&module, id), 40);
	cr_assert(lf_module_find((const void *)(uintptr_t)&strtoul, &module));
	len = (ssize_t)lf_module_path(&module, path);
	cr_assert(len > 1 && path[0] == '/');
	cr_assert_eq(lf_module_build_id(&module, id), 40);
	for (size_t i = 0; i < 40; i++)
		cr_assert_not_null(strchr("0123456789abcdef", id[i]));
}

/* ---- The whole way ---- */

static unsigned complaints;

static void complain(void *arg, const char *sentence)
{
	(void)arg;
	(void)sentence;
	complaints++;
}

Test(sources, who_cannot_ask_for_want_of_files_asks_again_and_tells_it_once)
{
	const struct lf_reporter reporter = { complain, NULL };
	struct lf_sources *sources;
	struct rlimit before, none;

	(void)add("one", ID " /nowhere", 1);
	drain();
	cr_assert_eq(lf_sources_new(&sources, &reporter, &why), 0, "%s", why.text);
	cr_assert_eq(lf_store_next_sites(store, &(int64_t){ -1 }, 1, take, (char[256]){ "" }, &why), 1);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (unsigned i = 0; i < 3; i++)
		lf_sources_look(sources, store);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(complaints, 1);
	expect_stored("SELECT group_concat(tried) FROM sites", "0");
	(void)lf_sources_finish(sources, store, 30000);
	expect_stored("SELECT group_concat(tried) FROM sites", "1");
	lf_sources_free(sources);
}

Test(sources, the_line_of_a_function_of_this_very_program_is_found)
{
	struct lf_reporter nobody = { 0 };
	struct lf_sources *sources;
	char source[LF_SOURCE_MAX + 1], id[LF_BUILD_ID_CHARS], path[LF_MODULE_PATH_MAX];
	struct lf_module module;

	cr_assert(lf_module_find((const void *)(uintptr_t)&set_up, &module));
	(void)snprintf(source, sizeof(source), "%.*s %.*s", (int)lf_module_build_id(&module, id), id,
	               (int)lf_module_path(&module, path), path);
	(void)add("one", source, (uint32_t)((uintptr_t)&set_up - module.base));
	(void)add("two", source, 1); /* no code is there */
	(void)add("three", ID " /nowhere", 1);
	drain();
	cr_assert_eq(lf_sources_new(&sources, &nobody, &why), 0, "%s", why.text);
	cr_assert(lf_sources_finish(sources, store, 30000));
	expect_stored("SELECT group_concat(messageTemplate || ' ' || (sourceFile LIKE '%tests/unit/test_sources.c')"
	              " || ' ' || (sourceLine BETWEEN 1 AND 40)) FROM entries WHERE sourceFile IS NOT NULL",
	              "one 1 1");
	expect_stored("SELECT group_concat(tried) FROM sites", "1,1,1");
	cr_assert_eq(lf_sources_fd(sources), -1);
	lf_sources_free(sources);
}

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "hashing/clock.h"
#include "sinks/cache/workers.h"

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

enum { DEADLINE_MS = 20000 };

static struct lf_cache *cache;
static struct lf_cache_space *space;
static struct lf_error err;
static _Atomic int calls;
static _Atomic bool held;

static void open_cache(void)
{
	struct lf_cache_options options;

	lf_cache_options_init(&options);
	options.workers = 2;
	cr_assert_eq(lf_cache_open(&cache, &options, &err), 0, "%s", err.text);
	cr_assert_eq(lf_cache_space(&space, cache, "user", "acme", &err), 0, "%s", err.text);
}

static void close_cache(void)
{
	lf_cache_close(cache);
}

TestSuite(cache_warm, .init = open_cache, .fini = close_cache);

/* The value is the id; of "bad" there is none. */
static int load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *error)
{
	(void)arg;
	atomic_fetch_add(&calls, 1);
	while (atomic_load(&held))
		(void)poll(NULL, 0, 1);
	if (id.len == 3 && memcmp(id.data, "bad", 3) == 0)
		return lf_fail(error, -EIO, "bad");
	out->value = id;
	return 1;
}

static bool is_kept(struct lf_text id)
{
	return lf_cache_exists(space, id, &err) == 1;
}

static void warm(const struct lf_cache_warm *how, struct lf_cache_progress *progress)
{
	struct lf_cache_warming *warming;

	cr_assert_eq(lf_cache_warm(&warming, space, how, &err), 0, "%s", err.text);
	cr_assert_eq(lf_cache_warm_wait(warming, DEADLINE_MS, progress, &err), 1, "%s", err.text);
}

Test(cache_warm, every_id_of_a_list_is_loaded_and_failures_are_counted)
{
	struct lf_text ids[] = { TEXT("a"), TEXT("bad"), TEXT("b"), TEXT(""), TEXT("c") };
	struct lf_cache_warm how = { .ids = ids, .count = 5 };
	struct lf_cache_progress progress;

	lf_cache_space_loader(space, load, NULL);
	cr_assert_eq(lf_cache_set(space, TEXT("c"), TEXT("there"), NULL, &err), 1);
	warm(&how, &progress);
	cr_assert_eq(progress.done, 5);
	cr_assert_eq(progress.failed, 2);
	cr_assert_eq(progress.total, 5);
	cr_assert(is_kept(TEXT("a")) && is_kept(TEXT("b")));
	cr_assert_eq(atomic_load(&calls), 3, "what is there is not loaded again");
}

Test(cache_warm, a_list_of_none_is_done_at_once)
{
	struct lf_cache_warm how = { .ids = &(struct lf_text){ 0 }, .count = 0 };
	struct lf_cache_progress progress;

	lf_cache_space_loader(space, load, NULL);
	warm(&how, &progress);
	cr_assert_eq(progress.done, 0);
}

/* Says 0 to 999, and stops. */
struct counting {
	_Atomic int inside;
	int next, until;
	int ends_with;
	char text[8];
	uint64_t last_told;
	_Atomic int told;
};

static int next_number(void *arg, struct lf_text *id)
{
	struct counting *counting = arg;

	cr_assert_eq(atomic_fetch_add(&counting->inside, 1), 0, "two threads are in `next`");
	if (counting->next == counting->until) {
		atomic_fetch_sub(&counting->inside, 1);
		return counting->ends_with;
	}
	id->len = (size_t)sprintf(counting->text, "%d", counting->next++);
	id->data = counting->text;
	atomic_fetch_sub(&counting->inside, 1);
	return 1;
}

static void progressed(void *arg, const struct lf_cache_progress *progress)
{
	struct counting *counting = arg;

	cr_assert_geq(progress->done, counting->last_told);
	counting->last_told = progress->done;
	atomic_fetch_add(&counting->told, 1);
}

Test(cache_warm, ids_come_from_a_function_and_progress_is_told_to_the_end)
{
	struct counting counting = { .until = 1000 };
	struct lf_cache_warm how = { .next = next_number, .progressed = progressed, .arg = &counting };
	struct lf_cache_progress progress;
	int kept = 0;

	lf_cache_space_loader(space, load, NULL);
	warm(&how, &progress);
	cr_assert_eq(progress.done, 1000);
	cr_assert_eq(progress.total, 0);
	cr_assert_eq(counting.last_told, 1000);
	cr_assert_geq(atomic_load(&counting.told), 1);
	for (int i = 0; i < 1000; i++) {
		char text[16];

		kept += is_kept((struct lf_text){ text, (size_t)sprintf(text, "%d", i) });
	}
	/* Of two that were made at the same time in one slot of memory's, the later one is not. */
	cr_assert_geq(kept, 990);
}

Test(cache_warm, a_source_that_fails_ends_it_with_what_it_said)
{
	struct counting counting = { .until = 10, .ends_with = -EIO };
	struct lf_cache_warm how = { .next = next_number, .arg = &counting };
	struct lf_cache_progress progress;
	struct lf_cache_warming *warming;

	lf_cache_space_loader(space, load, NULL);
	cr_assert_eq(lf_cache_warm(&warming, space, &how, &err), 0);
	cr_assert_eq(lf_cache_warm_wait(warming, DEADLINE_MS, &progress, &err), -EIO);
	cr_assert_eq(progress.done, 10);
}

Test(cache_warm, it_is_waited_for_only_as_long_as_is_said)
{
	struct lf_text ids[] = { TEXT("a") };
	struct lf_cache_warm how = { .ids = ids, .count = 1 };
	struct lf_cache_warming *warming;

	lf_cache_space_loader(space, load, NULL);
	atomic_store(&held, true);
	cr_assert_eq(lf_cache_warm(&warming, space, &how, &err), 0);
	cr_assert_eq(lf_cache_warm_wait(warming, 5, NULL, &err), -ETIMEDOUT);
	atomic_store(&held, false);
	cr_assert_eq(lf_cache_warm_wait(warming, -1, NULL, &err), 1);
	cr_assert(is_kept(TEXT("a")));
}

Test(cache_warm, without_a_loader_there_is_nothing_to_warm_by)
{
	struct lf_text ids[] = { TEXT("a") };
	struct lf_cache_warm how = { .ids = ids, .count = 1 };
	struct lf_cache_warming *warming;

	cr_assert_eq(lf_cache_warm(&warming, space, &how, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "lf_cache_space_loader"), "%s", err.text);
}

Test(cache_warm, closing_the_cache_ends_it_and_it_can_be_waited_for_still)
{
	struct counting counting = { .until = 100000000 }, unwaited = { .until = 100000000 };
	struct lf_cache_warm how = { .next = next_number, .arg = &counting };
	struct lf_cache_warm nobodys = { .next = next_number, .arg = &unwaited };
	struct lf_cache_warming *warming;

	lf_cache_space_loader(space, load, NULL);
	cr_assert_eq(lf_cache_warm(&warming, space, &how, &err), 0);
	cr_assert_eq(lf_cache_warm(NULL, space, &nobodys, &err), 0, "nobody waits for this one");
	lf_cache_close(cache);
	cr_assert_eq(lf_cache_warm_wait(warming, 0, NULL, &err), -ECANCELED, "%s", err.text);
	cr_assert_not_null(strstr(err.text, "closed"), "%s", err.text);
	open_cache();
}

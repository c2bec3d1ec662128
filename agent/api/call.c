/* Counting and judging one call: lf_call(), and the macros' sites the long way. */
#include "agent/api/call.h"

#include <string.h>

#include "agent/map/verdict.h"
#include "hashing/frame.h"
#include "hashing/utf8.h"

/* One more than is kept, so that what is too long is seen to be; no longer, as it need not end. */
static struct lf_text text_of(const char *string, size_t max)
{
	return (struct lf_text){ string, strnlen(string, max + 1) };
}

static lf_ref intern(struct lf_linked *linked, const char *string, size_t max, char *room)
{
	struct lf_text text = text_of(string, max);

	if (text.len > max || !lf_utf8_is_clean(text))
		text = (struct lf_text){ room, lf_utf8_escape(text, room, max) };
	return lf_map_intern(linked->host.map, text);
}

/* The slot of what is named so; NULL: the overflow entry. */
static struct lf_slot *slot_of(struct lf_linked *linked, const char *method, const char *message,
                               const char *frame, enum lf_kind kind, struct lf_map_key key)
{
	char room[LF_FRAME_MAX];

	_Static_assert(LF_FRAME_MAX >= LF_METHOD_MAX, "either fits");
	key.method = intern(linked, method, LF_METHOD_MAX, room);
	if (!key.frame)
		key.frame = intern(linked, frame, LF_FRAME_MAX, room);
	if (!key.method || !key.frame)
		return NULL;
	key.template = text_of(message, LF_TEMPLATE_MAX);
	return lf_map_verbatim(linked->host.map, &linked->scratches, key, kind, 0);
}

/* Counts the call.  Repeats of a fold that are due go to *out. */
static bool judge(struct lf_linked *linked, struct lf_slot *slot, struct lf_verdict *out)
{
	const struct lf_flags *flags = linked->host.flags;

	*out = (struct lf_verdict){ .outcome = LF_PASSED };
	if (!slot) {
		lf_map_count_overflow(linked->host.map, LF_PASSED, 1);
		return true;
	}
	if (!lf_verdict_passes(flags, slot))
		*out = lf_verdict_take(flags, slot, linked->host.namespace_key, lf_linked_now_ms);
	lf_slot_count(slot, out->outcome);
	return out->outcome == LF_PASSED;
}

static int answer(const struct lf_verdict *verdict)
{
	return 1 + (int)verdict->repeats;
}

int lf_call(const char *method, const char *message, const char *frame)
{
	struct lf_linked *linked = method && message ? lf_linked_enter() : NULL;
	struct lf_verdict verdict;
	struct lf_slot *slot;

	if (!linked)
		return 1;
	slot = slot_of(linked, method, message, frame ? frame : "[unknown]", LF_KIND_FORMAT,
	               (struct lf_map_key){ 0 });
	return judge(linked, slot, &verdict) ? answer(&verdict) : 0;
}

/* --- sites ------------------------------------------------------------------------------------- */

static lf_ref source_of(struct lf_linked *linked, const char *file)
{
	char room[1 + LF_TEMPLATE_MAX / 4];
	struct lf_text text = text_of(file, sizeof(room) - 2);

	room[0] = '=';
	text.len = lf_utf8_escape(text, room + 1, sizeof(room) - 1);
	return lf_map_intern(linked->host.map, (struct lf_text){ room, 1 + text.len });
}

static struct lf_slot *slot_of_site(struct lf_linked *linked, const struct lf_site_of_call *site)
{
	char frame[LF_FRAME_MAX];
	struct lf_text function = text_of(site->function, LF_FRAME_MAX);
	struct lf_map_key key = {
		.frame = lf_map_intern(linked->host.map,
		                       (struct lf_text){ frame, lf_frame_in(site, function, frame) }),
		.source = source_of(linked, site->file),
		.source_at = site->line,
	};

	if (!key.frame)
		return NULL;
	return slot_of(linked, site->method, site->message, NULL,
	               site->kind == LF_SITE_TEXT ? LF_KIND_CONSTANT : LF_KIND_FORMAT, key);
}

/* Threads that come here at once find the same slot, or two slots of one entry: either will do, also one
 * field of each, till the flags change (is_of()).  Release pairs with the acquire in known_slot(): who
 * sees the slot of another thread sees what is in it. */
static void remember(struct lf_site_of_call *site, const struct lf_linked *linked,
                     struct lf_slot *slot)
{
	__atomic_store_n(&site->living,
	                 (const void *const *)(const void *)&lf_linked_page.linked,
	                 __ATOMIC_RELAXED);
	__atomic_store_n(&site->verdict, (const uint32_t *)(const void *)&slot->verdict,
	                 __ATOMIC_RELAXED);
	__atomic_store_n(&site->generation,
	                 (const uint32_t *)(const void *)&linked->host.flags->generation,
	                 __ATOMIC_RELAXED);
	__atomic_store_n(&site->passed, (uint64_t *)(void *)&slot->counts[LF_PASSED],
	                 __ATOMIC_RELEASE);
	/* Release pairs with the acquire in lf_site_passes(). */
	__atomic_store_n(&site->owner, (const void *)linked, __ATOMIC_RELEASE);
}

/* The counter is the slot's first field. */
_Static_assert(offsetof(struct lf_slot, counts) == 0 && LF_PASSED == 0, "passed is the slot");

static struct lf_slot *known_slot(const struct lf_site_of_call *site,
                                  const struct lf_linked *linked)
{
	if (__atomic_load_n(&site->owner, __ATOMIC_ACQUIRE) != (const void *)linked)
		return NULL;
	return (struct lf_slot *)(void *)__atomic_load_n(&site->passed, __ATOMIC_ACQUIRE);
}

/* Not so where two threads remembered half of it each: a verdict that is not the slot's is never brought up
 * to date, and each call would come the long way. */
static bool is_of(const struct lf_site_of_call *site, const struct lf_slot *slot)
{
	return __atomic_load_n(&site->verdict, __ATOMIC_RELAXED) ==
	       (const uint32_t *)(const void *)&slot->verdict;
}

/* What a fold left out before the call that this thread is about to print. */
static __thread struct lf_untold untold;

struct lf_untold lf_untold_take(void)
{
	struct lf_untold taken = untold;

	untold.repeats = 0;
	return taken;
}

static __attribute__((noinline)) int judge_site(struct lf_site_of_call *site)
{
	struct lf_linked *linked = lf_linked_enter();
	struct lf_verdict verdict;
	struct lf_slot *slot;

	if (!linked)
		return 1;
	slot = known_slot(site, linked);
	if (!slot)
		slot = slot_of_site(linked, site);
	if (slot && !(known_slot(site, linked) == slot && is_of(site, slot)))
		remember(site, linked, slot);
	if (!judge(linked, slot, &verdict))
		return 0;
	if (verdict.repeats && site->kind != LF_SITE_FOREIGN)
		untold = (struct lf_untold){ site->message, verdict.repeats, verdict.over_ms };
	return answer(&verdict);
}

int lf_site_judge(struct lf_site_of_call *site)
{
	struct lf_linked *linked = lf_linked_now();
	struct lf_slot *slot = linked ? known_slot(site, linked) : NULL;

	/* What is muted is to be cheap. */
	if (slot && lf_verdict_is_muted(linked->host.flags, slot)) {
		lf_slot_count(slot, LF_MUTED);
		return 0;
	}
	return judge_site(site);
}

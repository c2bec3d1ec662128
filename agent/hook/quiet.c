#include "agent/hook/quiet.h"

#include "agent/hook/console.h"
#include "agent/hook/stub.h"

struct lf_quiet_all lf_quiet_all __attribute__((aligned(LF_PAGE_BYTES)));

#if defined(LF_HAS_QUIET)

static const uintptr_t BEING_GIVEN = 1; /* no code returns there */
static const uint32_t NO_GENERATION = 1;

_Static_assert(sizeof(lf_quiet_all) == 4 * LF_PAGE_BYTES, "the pages hold nothing else");
_Static_assert(sizeof(struct lf_quiet) == LF_QUIET_PLACE_BYTES &&
               offsetof(struct lf_quiet_all, places) == LF_QUIET_PLACE_BYTES &&
               offsetof(struct lf_quiet, ret) == LF_QUIET_RET &&
               offsetof(struct lf_quiet, text) == LF_QUIET_TEXT &&
               offsetof(struct lf_quiet, generation) == LF_QUIET_GENERATION &&
               offsetof(struct lf_quiet, result) == LF_QUIET_RESULT &&
               offsetof(struct lf_quiet, fd) == LF_QUIET_FD &&
               offsetof(struct lf_quiet, method) == LF_QUIET_METHOD &&
               offsetof(struct lf_quiet, count) == LF_QUIET_COUNT &&
               offsetof(struct lf_quiet, class) == LF_QUIET_CLASS,
               "quiet_entry.S reads it");
_Static_assert(LF_NUMBER_printf == LF_METHOD_printf && LF_NUMBER_fprintf == LF_METHOD_fprintf &&
               LF_NUMBER_puts == LF_METHOD_puts && LF_NUMBER_fputs == LF_METHOD_fputs, "the same");

/* The place of that key, or NULL where another one has it.  The head's own is nobody's. */
static struct lf_quiet *place_for(uintptr_t ret, uintptr_t text, uint32_t method)
{
	unsigned number = ret & LF_QUIET_PLACES;
	struct lf_quiet *place = &lf_quiet_all.places[number - 1];
	uintptr_t found = 0;

	if (!number)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(&place->ret, &found, BEING_GIVEN,
	                                            memory_order_acquire, memory_order_acquire)) {
		place->text = text;
		place->method = method;
		atomic_store_explicit(&place->generation, NO_GENERATION, memory_order_relaxed);
		/* Release: who sees the key sees all of it. */
		atomic_store_explicit(&place->ret, ret, memory_order_release);
		return place;
	}
	return found == ret && place->text == text && place->method == method ? place : NULL;
}

static void fill(struct lf_quiet *place, struct lf_process *process, struct lf_slot *slot, int fd,
                 int result)
{
	uint32_t generation = atomic_load_explicit(&slot->verdict, memory_order_relaxed) + 1;

	atomic_store_explicit(&place->result, result, memory_order_relaxed);
	atomic_store_explicit(&place->fd, fd, memory_order_relaxed);
	atomic_store_explicit(&place->count, (uintptr_t)&slot->counts[LF_MUTED], memory_order_relaxed);
	atomic_store_explicit(&place->class, (uintptr_t)&lf_fd_classes[fd], memory_order_relaxed);
	/* As in lf_site_add(): either the module that goes finds this, or it is seen to go. */
	atomic_store(&place->generation, generation);
	if (atomic_load(&process->cache.unloading))
		atomic_store(&place->generation, NO_GENERATION);
}

void lf_quiet_put(struct lf_process *process, struct lf_slot *slot, const void *ret, const void *text,
                  uint32_t method, const FILE *file, int result)
{
	int fd = lf_console_fd_of(file);
	struct lf_quiet *place;

	/* A child in its parent's memory has fds of its own. */
	if (fd < 0 || fd >= LF_CONSOLE_FDS || process != lf_process_now() || lf_wiped_is_shared() ||
	    !lf_verdict_is_muted(process->flags, slot) || atomic_load(&process->cache.unloading) ||
	    lf_site_find(&process->cache, ret, lf_site_text(text, method), 0) != (uintptr_t)slot)
		return;
	/* Before any place has a key. */
	atomic_store_explicit(&lf_quiet_all.generation, (uintptr_t)&process->flags->generation,
	                      memory_order_relaxed);
	atomic_store_explicit(&lf_quiet_all.attention, (uintptr_t)&process->attention,
	                      memory_order_relaxed);
	place = place_for((uintptr_t)ret, (uintptr_t)text, method);
	if (place)
		fill(place, process, slot, fd, result);
}

void lf_quiet_forget(void)
{
	for (unsigned i = 0; i < LF_QUIET_PLACES; i++)
		if (atomic_load(&lf_quiet_all.places[i].ret))
			atomic_store(&lf_quiet_all.places[i].generation, NO_GENERATION);
}

#else

void lf_quiet_put(struct lf_process *process, struct lf_slot *slot, const void *ret, const void *text,
                  uint32_t method, const FILE *file, int result)
{
	(void)process, (void)slot, (void)ret, (void)text, (void)method, (void)file, (void)result;
}

void lf_quiet_forget(void)
{
}

#endif

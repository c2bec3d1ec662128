#include "agent/hook/caller.h"

#include <string.h>

#include "agent/hook/stub.h"
#include "hashing/frame.h"

/* What the cache knows of a return address besides its calls: under keys that no method has. */
enum { PLAN_METHOD = 1, SKIP_METHOD = 2 };

/* A plan in one word, from bit 0: the base of the CFA, where rbp is, whether the function is variadic,
 * whether the address is a call's, whether the plan has led to a call before; then two offsets. */
enum {
	PLAN_BASE = 0x07,
	PLAN_RBP = 0x18,
	PLAN_RBP_SHIFT = 3,
	PLAN_VARIADIC = 0x60,
	PLAN_VARIADIC_SHIFT = 5,
	PLAN_IS_CALL = 0x80,
	PLAN_KNOWN = 0x100, /* so that none is 0 */
	PLAN_LEADS = 0x200,
	PLAN_RBP_OFFSET_SHIFT = 10, /* 22 bits, signed */
	PLAN_CFA_OFFSET_SHIFT = 32,
};

enum {
	NOT_SKIPPED = 1,
	SKIPPED = 2,
	WORD = sizeof(uintptr_t),
	STACK_PAGES_MAX = 64,  /* proved at once */
	JOINED_PAGES_MAX = 16, /* proved anew to be remembered together: stacks may take turns */
	OWN_LEVELS = 16, /* from the depth of our own library to who called it */
};

_Thread_local uintptr_t lf_caller_stack;

/* ---- Plans ---- */

static uint64_t plan_from(struct lf_unwind unwind)
{
	int32_t rbp_offset = (int32_t)((uint32_t)unwind.rbp_offset << PLAN_RBP_OFFSET_SHIFT);

	if (rbp_offset >> PLAN_RBP_OFFSET_SHIFT != unwind.rbp_offset) {
		unwind.rbp = LF_UNWIND_LOST;
		rbp_offset = 0;
	}
	return (uint64_t)unwind.cfa_offset << PLAN_CFA_OFFSET_SHIFT | (uint32_t)rbp_offset |
	       PLAN_KNOWN | (unwind.is_call ? PLAN_IS_CALL : 0) |
	       (uint64_t)unwind.variadic << PLAN_VARIADIC_SHIFT |
	       (uint64_t)unwind.rbp << PLAN_RBP_SHIFT | unwind.base;
}

static enum lf_unwind_base base_of(uint64_t plan)
{
	return (enum lf_unwind_base)(plan & PLAN_BASE);
}

static enum lf_unwind_saved rbp_of(uint64_t plan)
{
	return (enum lf_unwind_saved)((plan & PLAN_RBP) >> PLAN_RBP_SHIFT);
}

static enum lf_unwind_variadic variadic_of(uint64_t plan)
{
	return (enum lf_unwind_variadic)((plan & PLAN_VARIADIC) >> PLAN_VARIADIC_SHIFT);
}

static uintptr_t cfa_offset_of(uint64_t plan)
{
	return (uintptr_t)((int64_t)plan >> PLAN_CFA_OFFSET_SHIFT);
}

static uintptr_t rbp_offset_of(uint64_t plan)
{
	return (uintptr_t)(intptr_t)((int32_t)(uint32_t)plan >> PLAN_RBP_OFFSET_SHIFT);
}

/* What is no call is not kept, or a table that leads to ever other numbers would fill the cache; but
 * a stub's own return address is: there is one of it at each call. */
static uint64_t plan_of(struct lf_process *process, const void *ret, bool is_stubs_own)
{
	uint64_t key = lf_site_text(LF_SITE_ANY_TEXT, PLAN_METHOD);
	uint64_t plan = process ? lf_site_find(&process->cache, ret, key, 0) : 0;

	if (plan)
		return plan;
	plan = plan_from(lf_unwind_of(ret));
	if (process && ((plan & PLAN_IS_CALL) || (is_stubs_own && lf_is_in_module(ret))))
		lf_site_add(&process->cache, ret, key, 0, plan);
	return plan;
}

/* ---- Steps ---- */

/* A point on the way up: a call, and the registers as they are when it has returned. */
struct climb {
	struct lf_process *process; /* NULL: nothing can be kept */
	uintptr_t frame;            /* where it began */
	const void *ret;
	uintptr_t rsp, rbp;         /* x29 on aarch64 */
	bool has_rbp;
	uint64_t plan;              /* of `ret` */
};

static uintptr_t page_of(uintptr_t at)
{
	return at & ~(uintptr_t)(LF_PAGE_BYTES - 1);
}

static bool is_known(uintptr_t at)
{
	uintptr_t stack = lf_caller_stack;

	return lf_stack_end(stack) - at - 1 < lf_stack_bytes(stack);
}

/* Whether the pages can be read; they are remembered then. */
static bool prove_pages(uintptr_t first, uintptr_t end, uintptr_t pages_max)
{
	uintptr_t pages = (end - first) / LF_PAGE_BYTES;

	if (pages > pages_max || !lf_stub_is_readable((const void *)first, end - first))
		return false;
	lf_caller_stack = end | pages;
	return true;
}

/* With those known before, where all lie close together. */
static bool prove_more_pages(uintptr_t first, uintptr_t end)
{
	uintptr_t known_end = lf_stack_end(lf_caller_stack);
	uintptr_t known = known_end - lf_stack_bytes(lf_caller_stack);

	return known_end && prove_pages(known < first ? known : first,
	                                known_end > end ? known_end : end, JOINED_PAGES_MAX);
}

/* Whether a word of the stack, above the frame, can be read.  What was proved once is believed of a plan that
 * has led to a call: one that has not may lead out of the stack, and what lay there may have been unmapped
 * since (a stack made smaller). */
static bool is_stack(const struct climb *climb, uintptr_t at)
{
	uintptr_t first = page_of(climb->frame), end = page_of(at) + LF_PAGE_BYTES;

	if (at < climb->frame || at % WORD != 0 || end < first)
		return false;
	if (!(climb->plan & PLAN_LEADS))
		return lf_stub_is_readable((const void *)at, WORD);
	return (is_known(climb->frame) && is_known(at)) || prove_more_pages(first, end) ||
	       prove_pages(first, end, STACK_PAGES_MAX) || lf_stub_is_readable((const void *)at, WORD);
}

static bool load(const struct climb *climb, uintptr_t at, uintptr_t *out)
{
	if (!is_stack(climb, at))
		return false;
	*out = *(const uintptr_t *)at;
	return true;
}

/* Where the frame of the function that the call returns to begins. */
static bool find_cfa(const struct climb *climb, uintptr_t *out)
{
	*out = cfa_offset_of(climb->plan);
	switch (base_of(climb->plan)) {
	case LF_UNWIND_RSP:
		*out += climb->rsp;
		break;
	case LF_UNWIND_RBP:
		*out += climb->rbp;
		break;
	case LF_UNWIND_AT_RBP:
		if (!climb->has_rbp || !load(climb, climb->rbp + *out, out))
			return false;
		break;
	default:
		return false;
	}
	return (climb->has_rbp || base_of(climb->plan) == LF_UNWIND_RSP) && *out > climb->rsp;
}

/* By the unwind table. */
static bool step_by_table(struct climb *climb)
{
	uintptr_t cfa, ret, rbp = climb->rbp;

	if (!find_cfa(climb, &cfa) || !load(climb, cfa - WORD, &ret))
		return false;
	switch (rbp_of(climb->plan)) {
	case LF_UNWIND_SAME:
		break;
	case LF_UNWIND_SAVED:
		climb->has_rbp = load(climb, cfa + rbp_offset_of(climb->plan), &rbp);
		break;
	case LF_UNWIND_SAVED_RBP:
		climb->has_rbp = climb->has_rbp &&
		                 load(climb, climb->rbp + rbp_offset_of(climb->plan), &rbp);
		break;
	default:
		climb->has_rbp = false;
	}
	climb->ret = (const void *)ret;
	climb->rsp = cfa;
	climb->rbp = rbp;
	return true;
}

#if defined(__aarch64__)
/* A return address may be signed; the instruction does nothing on machines that cannot. */
static uintptr_t without_signature(uintptr_t ret)
{
	register uintptr_t x30 __asm__("x30") = ret;

	__asm__("hint #7" : "+r"(x30)); /* xpaclri */
	return x30;
}
#else
static uintptr_t without_signature(uintptr_t ret)
{
	return ret;
}
#endif

/* By the record at x29: the caller's x29, then the return address. */
static bool step_by_record(struct climb *climb)
{
	uintptr_t record, ret;

	if (climb->rbp < climb->rsp || !load(climb, climb->rbp, &record) ||
	    !load(climb, climb->rbp + WORD, &ret))
		return false;
	climb->rsp = climb->rbp + 2 * WORD;
	climb->rbp = record;
	climb->ret = (const void *)without_signature(ret);
	return true;
}

/* The next time, the plan of `from` is known to lead to a call. */
static void keep_plan(const struct climb *from)
{
	if (from->process && !(from->plan & PLAN_LEADS))
		lf_site_add(&from->process->cache, from->ret, lf_site_text(LF_SITE_ANY_TEXT, PLAN_METHOD), 0,
		            from->plan | PLAN_LEADS);
}

/* To the next call above.  False where that is not known; the climb is then of no more use. */
static bool step(struct climb *climb)
{
	struct climb from = *climb;
	bool done = base_of(climb->plan) == LF_UNWIND_RECORD ? step_by_record(climb)
	                                                     : step_by_table(climb);

	if (!done)
		return false;
	climb->plan = plan_of(climb->process, climb->ret, false);
	if (!(climb->plan & PLAN_IS_CALL))
		return false;
	keep_plan(&from);
	return true;
}

/* From a function's own frame: what a function begins with when it keeps a frame pointer. */
static struct climb begin(struct lf_process *process, const void *ret, const void *frame)
{
	return (struct climb){
		.process = process,
		.frame = (uintptr_t)frame,
		.ret = ret,
		.rsp = (uintptr_t)frame + 2 * WORD,
		.rbp = *(const uintptr_t *)frame,
		.has_rbp = true,
		.plan = plan_of(process, ret, true),
	};
}

/* ---- Wrappers that hand on a va_list ---- */

/* For the shortest way, where this one goes by the stack pointer; it goes by what has led to a call alone. */
static void keep_step(const struct climb *climb)
{
	enum lf_unwind_variadic variadic = variadic_of(climb->plan);
	uint64_t goes_on = variadic == LF_UNWIND_NOT_VARIADIC, bytes = cfa_offset_of(climb->plan);
	uintptr_t ret = (uintptr_t)climb->ret;

	if (climb->process && (climb->plan & PLAN_LEADS) && base_of(climb->plan) == LF_UNWIND_RSP &&
	    variadic != LF_UNWIND_MAYBE_VARIADIC && bytes % WORD == 0 && bytes > 0 &&
	    bytes < UINT64_C(1) << (64 - LF_STEP_RET_BITS) && ret >> LF_STEP_GOES_ON_BIT == 0)
		lf_step_put(&climb->process->cache, climb->ret,
		            ret | goes_on << LF_STEP_GOES_ON_BIT | bytes << LF_STEP_RET_BITS);
}

const void *lf_caller_of_wrapper(const void *ret, const void *frame)
{
	struct lf_process *process = lf_process_now();
	struct climb climb;

	if (process && !process->map)
		return ret; /* it cannot count: nobody asks */
	climb = begin(process, ret, frame);
	for (unsigned level = 0; level < LF_CALLER_LEVELS; level++) {
		enum lf_unwind_variadic variadic = variadic_of(climb.plan);

		keep_step(&climb);
		if (variadic == LF_UNWIND_MAYBE_VARIADIC || !step(&climb))
			break;
		if (variadic == LF_UNWIND_VARIADIC)
			return climb.ret;
	}
	return ret;
}

/* ---- Wrappers by name ---- */

static bool is_text(const char *item, size_t len, struct lf_text text)
{
	return len == text.len && memcmp(item, text.data, len) == 0;
}

/* By its whole name or by that of its function. */
static bool is_listed(const char *list, struct lf_text frame)
{
	const char *bang = memchr(frame.data, '!', frame.len);
	struct lf_text function = { frame.data, 0 };

	if (bang)
		function = (struct lf_text){ bang + 1, frame.len - (size_t)(bang + 1 - frame.data) };
	for (const char *end, *item = list; *item; item = *end ? end + 1 : end) {
		end = item + strcspn(item, "\n");
		if (is_text(item, (size_t)(end - item), frame) ||
		    (bang && is_text(item, (size_t)(end - item), function)))
			return true;
	}
	return false;
}

static bool is_skipped(struct lf_process *process, const void *ret)
{
	uint64_t key = lf_site_text(LF_SITE_ANY_TEXT, SKIP_METHOD);
	uint64_t known = lf_site_find(&process->cache, ret, key, 0);
	char frame[LF_FRAME_MAX];

	if (known)
		return known == SKIPPED;
	known = is_listed(process->skip_frames, (struct lf_text){ frame, lf_frame_of(ret, frame) })
	                ? SKIPPED : NOT_SKIPPED;
	if (lf_is_in_module(ret))
		lf_site_add(&process->cache, ret, key, 0, known);
	return known == SKIPPED;
}

/* Out of our own library, and on. */
static __attribute__((noinline)) const void *climb_from_here(struct lf_process *process,
                                                             const void *ret)
{
	struct climb climb = begin(process, __builtin_return_address(0), __builtin_frame_address(0));
	unsigned level;

	for (level = 0; level < OWN_LEVELS && climb.ret != ret; level++)
		if (!step(&climb))
			return ret;
	for (level = 0; level < LF_CALLER_LEVELS && step(&climb); level++) {
		ret = climb.ret;
		if (!is_skipped(process, ret))
			break;
	}
	return ret;
}

const void *lf_caller_unskipped(struct lf_process *process, const void *ret)
{
	return process->skip_frames[0] && is_skipped(process, ret) ? climb_from_here(process, ret)
	                                                            : ret;
}

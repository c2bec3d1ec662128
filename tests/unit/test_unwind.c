/* Functions of every make, each asked for the caller of its caller. */
#include "hashing/unwind.h"

#include <alloca.h>
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hook/caller.h"
#include "hashing/frame.h"
#include "hashing/unwind_rule.h"

/* What a sanitizer adds to a function is not what is asked about. */
#define ALONE __attribute__((noinline, noclone, no_sanitize("address", "undefined")))

/* What a function does behind its call keeps that from being a jump. */
static volatile int behind;

static struct lf_unwind seen;
static const void *answer;
static jmp_buf back;

/* In the place of a stub.  Only who hands on its va_list must have stored what it may hold. */
ALONE static void stub(va_list args)
{
	behind = args != NULL;
	seen = lf_unwind_of(__builtin_return_address(0));
	answer = LF_WRAPPER_CALLER;
}

/* ---- Wrappers: each calls the stub ---- */

ALONE static void plain_wrapper(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	behind = va_arg(args, int);
	stub(args);
	va_end(args);
	behind++;
}

__attribute__((optimize("O0"))) ALONE static void unoptimized_wrapper(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	stub(args);
	va_end(args);
	behind++;
}

__attribute__((optimize("omit-frame-pointer"))) ALONE static void
frameless_wrapper(const char *format, ...)
{
	char room[4096];
	va_list args;

	va_start(args, format);
	memset(room, va_arg(args, int), sizeof(room));
	stub(args);
	behind += room[behind & 1];
	va_end(args);
}

ALONE static void alloca_wrapper(const char *format, ...)
{
	va_list args;
	char *room;

	va_start(args, format);
	room = alloca((size_t)va_arg(args, int) + 100);
	memset(room, 1, 100);
	stub(args);
	behind += room[behind & 1];
	va_end(args);
}

ALONE static void aligned_wrapper(const char *format, ...)
{
	_Alignas(64) char block[64];
	va_list args;
	char *room;

	va_start(args, format);
	room = alloca((size_t)va_arg(args, int) + 100);
	memset(room, 1, 100);
	memset(block, 2, sizeof(block));
	stub(args);
	behind += room[behind & 1] + block[behind & 1];
	va_end(args);
}

/* Many named arguments: some come by the stack. */
ALONE static void crowded_wrapper(int a, int b, int c, int d, int e, int f, int g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	behind = va_arg(args, int) + a + b + c + d + e + f + g;
	stub(args);
	va_end(args);
	behind++;
}

ALONE static void deaf_wrapper(int i)
{
	va_list args = { 0 };

	behind = i;
	stub(args);
	behind++;
}

__attribute__((noreturn)) ALONE static void leave(va_list args)
{
	stub(args);
	longjmp(back, 1);
}

/* The call of leave() may be its last instruction. */
__attribute__((noreturn)) ALONE static void fatal_wrapper(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	behind = va_arg(args, int);
	leave(args);
}

/* ---- Between wrapper and stub ---- */

ALONE static void hand_on(va_list args)
{
	behind = va_arg(args, int);
	stub(args);
	behind++;
}

/* Uses the register that others keep their frame by, as any other. */
__attribute__((optimize("omit-frame-pointer"))) ALONE static void hand_on_without_frame(va_list args)
{
#if defined(__x86_64__)
	__asm__ volatile("xor %%ebp, %%ebp" : : : "rbp");
#endif
	hand_on(args);
	behind++;
}

ALONE static void hand_on_from_room(va_list args)
{
	char *room = alloca((size_t)va_arg(args, int) + 100);

	memset(room, 1, 100);
	hand_on_without_frame(args);
	behind += room[behind & 1];
}

ALONE static void nested_wrapper(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	hand_on_from_room(args);
	va_end(args);
	behind++;
}

/* ---- Who calls the wrappers ---- */

#define CALLER_OF(wrapper, ...) \
	ALONE static void wrapper##_caller(void) \
	{ \
		wrapper(__VA_ARGS__); \
		behind++; \
	}
CALLER_OF(plain_wrapper, "%d %d", 1, 2)
CALLER_OF(unoptimized_wrapper, "%d %d", 1, 2)
CALLER_OF(frameless_wrapper, "%d %d", 1, 2)
CALLER_OF(alloca_wrapper, "%d %d", 1, 2)
CALLER_OF(aligned_wrapper, "%d %d", 1, 2)
CALLER_OF(crowded_wrapper, 1, 2, 3, 4, 5, 6, 7, "%d", 8)
CALLER_OF(nested_wrapper, "%d %d", 1, 2)
CALLER_OF(deaf_wrapper, 1)

ALONE static void fatal_wrapper_caller(void)
{
	if (setjmp(back) == 0)
		fatal_wrapper("%d", 1);
	behind++;
}

/* ---- */

static void cr_assert_frame_is(const void *ret, const char *function)
{
	char frame[LF_FRAME_MAX + 1];

	frame[lf_frame_of(ret, frame)] = '\0';
	cr_assert_str_eq(strchr(frame, '!') ? strchr(frame, '!') + 1 : frame, function);
}

#define A_WRAPPERS_CALLER_IS_FOUND(claim, wrapper) \
	Test(unwind, claim) \
	{ \
		for (int i = 0; i < 3; i++) { \
			answer = NULL; \
			wrapper##_caller(); \
			cr_assert_frame_is(answer, #wrapper "_caller"); \
		} \
	}
A_WRAPPERS_CALLER_IS_FOUND(out_of_a_plain_variadic_function, plain_wrapper)
A_WRAPPERS_CALLER_IS_FOUND(out_of_one_that_was_not_optimized, unoptimized_wrapper)
A_WRAPPERS_CALLER_IS_FOUND(out_of_one_without_a_frame_pointer, frameless_wrapper)
A_WRAPPERS_CALLER_IS_FOUND(out_of_one_whose_frame_grows_as_it_runs, alloca_wrapper)
A_WRAPPERS_CALLER_IS_FOUND(out_of_one_that_aligns_its_stack, aligned_wrapper)
A_WRAPPERS_CALLER_IS_FOUND(out_of_one_whose_arguments_come_by_the_stack, crowded_wrapper)
A_WRAPPERS_CALLER_IS_FOUND(through_functions_that_hand_on_a_va_list, nested_wrapper)

#if defined(__x86_64__)
Test(unwind, each_kind_of_frame_has_its_rule)
{
	frameless_wrapper_caller();
	cr_assert_eq(seen.base, LF_UNWIND_RSP);
	alloca_wrapper_caller();
	cr_assert_eq(seen.base, LF_UNWIND_RBP);
	cr_assert_eq(seen.rbp, LF_UNWIND_SAVED);
	aligned_wrapper_caller();
	cr_assert_eq(seen.base, LF_UNWIND_AT_RBP);
	cr_assert_eq(seen.rbp, LF_UNWIND_SAVED_RBP);
}
#endif

Test(unwind, a_call_that_never_returns_belongs_to_the_function_that_makes_it)
{
	fatal_wrapper_caller();
	cr_assert_frame_is(answer, "fatal_wrapper_caller");
}

Test(unwind, a_function_is_known_to_be_variadic_by_what_it_stores)
{
	plain_wrapper_caller();
	cr_assert_eq(seen.variadic, LF_UNWIND_VARIADIC);
	unoptimized_wrapper_caller();
	cr_assert_eq(seen.variadic, LF_UNWIND_VARIADIC);
	deaf_wrapper_caller();
	cr_assert_eq(seen.variadic, LF_UNWIND_NOT_VARIADIC);
	nested_wrapper_caller();
	cr_assert_eq(seen.variadic, LF_UNWIND_NOT_VARIADIC);
}

Test(unwind, an_address_that_no_call_returns_to_is_told_from_one)
{
	const char *code = (const char *)(uintptr_t)plain_wrapper;
	unsigned calls = 0;
	static char data[64];

	plain_wrapper_caller();
	cr_assert(seen.is_call);
	for (unsigned i = 0; i < 64; i++)
		calls += lf_unwind_of(code + i).is_call;
	cr_assert_lt(calls, 8, "%u of 64 bytes look like the end of a call", calls);
	cr_assert_not(lf_unwind_of(data + 8).is_call);
	cr_assert_not(lf_unwind_of(NULL).is_call);
	cr_assert_not(lf_unwind_of((const void *)UINTPTR_MAX).is_call);
}

#if defined(__x86_64__)

/* Numbers as a file may hold them, from a generator with a seed. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

Test(unwind, a_hostile_table_gives_some_rule_or_none_and_reads_nothing_beyond_it)
{
	uint64_t state = 88172645463325252ULL;
	unsigned with_rule = 0;

	for (unsigned round = 0; round < 20000; round++) {
		size_t len = next_random(&state) % 40;
		uint8_t *program = malloc(len ? len : 1); /* of its very size: ASan watches its end */
		struct lf_unwind_entry entry = {
			.code_unit = next_random(&state) % 3,
			.data_unit = (int64_t)(next_random(&state) % 17) - 8,
			.return_register = 16,
		};
		struct lf_unwind found = { .base = LF_UNWIND_NO_RULE };

		for (size_t i = 0; i < len; i++)
			program[i] = (uint8_t)next_random(&state);
		if (len >= 5)
			memcpy(program, "\x0c\x07\x08\x90\x01", 5); /* as real ones begin */
		entry.first = (struct lf_bytes){ program, program + len / 2, false };
		entry.rest = (struct lf_bytes){ program + len / 2, program + len, false };
		with_rule += lf_unwind_rule(&entry, next_random(&state) % 64, &found);
		(void)lf_unwind_is_entered(&entry);
		free(program);
	}
	cr_assert_gt(with_rule, 0, "no program was run to its end: the test shows nothing");
}

#endif

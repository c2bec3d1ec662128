#include "hashing/frame.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hashing/symbols.h"
#include "hashing/sys.h"

enum { THREADS = 8 };

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* Labels of a few bytes each, with the names that compilers and people make. */
#define LABEL(name, symbol)                     \
	extern const char name[] __asm__(symbol); \
	__asm__(".pushsection .text\n"          \
		".type " symbol ", %function\n" \
		symbol ": nop\nnop\nnop\nnop\n"  \
		".size " symbol ", 4\n"         \
		".popsection\n")

LABEL(at_isra, "lf_t1.isra.0");
LABEL(at_part, "lf_t2.part.12");
LABEL(at_cold, "lf_t3.cold");
LABEL(at_chain, "lf_t4.part.1.isra.0.constprop.2.cold.3");
LABEL(at_lto, "lf_t5.lto_priv.0");
LABEL(at_llvm, "lf_t6.llvm.12345678901234567890");
LABEL(at_uniq, "lf_t7.__uniq.8910.llvm.7");
LABEL(at_nested, "lf_t8.0");
LABEL(at_clone, "lf_t9.avx2");
LABEL(at_go, "lf_main.cold.func1");
LABEL(at_only, ".cold.0");
LABEL(at_bytes, "lf_caf\351");
LABEL(at_long, "lf_long_" HUNDRED HUNDRED HUNDRED);

/* What stands behind the module's name, for a call that ends within a label. */
static struct lf_text function_at(const char *label, char out[LF_FRAME_MAX])
{
	size_t len = lf_frame_of(label + 3, out);
	char *mark = memchr(out, '!', len);

	cr_assert(mark, "no function in \"%.*s\"", (int)len, out);
	return (struct lf_text){ mark + 1, len - (size_t)(mark + 1 - out) };
}

static void expect_frame(const void *address, const char *expected)
{
	char out[LF_FRAME_MAX];
	size_t len = lf_frame_of(address, out);

	cr_assert(len == strlen(expected) && memcmp(out, expected, len) == 0,
		  "\"%.*s\", expected \"%s\"", (int)len, out, expected);
}

/* This program's own name, as the kernel has it. */
static const char *own_name(void)
{
	static char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	cr_assert_gt(len, 0);
	path[len] = '\0';
	return strrchr(path, '/') + 1;
}

static const void *where_called;

__attribute__((noinline)) static void note_caller(void)
{
	where_called = __builtin_return_address(0);
}

__attribute__((noinline)) static void local_caller(void)
{
	note_caller();
	__asm__ volatile(""); /* or the call would become a jump */
}

Test(frame, a_call_is_named_by_module_and_function)
{
	char expected[LF_FRAME_MAX];

	local_caller();
	(void)snprintf(expected, sizeof(expected), "%s!local_caller", own_name());
	expect_frame(where_called, expected);
}

Test(frame, what_compilers_append_to_a_name_is_cut_and_what_people_wrote_is_not)
{
	static const struct {
		const char *label, *expected;
	} cases[] = {
		{ at_isra, "lf_t1" },  { at_part, "lf_t2" },      { at_cold, "lf_t3" },
		{ at_chain, "lf_t4" }, { at_lto, "lf_t5" },       { at_llvm, "lf_t6" },
		{ at_uniq, "lf_t7" },  { at_nested, "lf_t8.0" },  { at_clone, "lf_t9.avx2" },
		{ at_only, ".cold.0" }, { at_go, "lf_main.cold.func1" },
	};
	char out[LF_FRAME_MAX];
	struct lf_text name;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		name = function_at(cases[i].label, out);
		cr_expect(name.len == strlen(cases[i].expected) &&
				  memcmp(name.data, cases[i].expected, name.len) == 0,
			  "\"%.*s\", expected \"%s\"", (int)name.len, name.data,
			  cases[i].expected);
	}
}

Test(frame, a_name_that_is_not_utf8_is_escaped)
{
	char out[LF_FRAME_MAX];
	struct lf_text name = function_at(at_bytes, out);

	cr_assert_eq(name.len, 10);
	cr_assert_eq(memcmp(name.data, "lf_caf\\xe9", 10), 0, "%.*s", (int)name.len, name.data);
}

Test(frame, a_frame_too_long_is_cut_and_nothing_is_written_behind_it)
{
	char out[LF_FRAME_MAX + 16];

	memset(out, '#', sizeof(out));
	cr_assert_eq(lf_frame_of(at_long + 3, out), LF_FRAME_MAX);
	cr_assert_eq(memcmp(out + LF_FRAME_MAX, "################", 16), 0);
}

Test(frame, an_offset_is_that_of_the_call_in_the_files_own_addresses)
{
	static const char text[] = "no function covers a constant";
	char expected[LF_FRAME_MAX];
	struct lf_module module;

	cr_assert(lf_module_find(text, &module));
	(void)snprintf(expected, sizeof(expected), "%s+0x%lx", own_name(),
		       (unsigned long)((uintptr_t)text + 7 - 1 - module.base));
	expect_frame(text + 7, expected);
}

Test(frame, a_function_known_by_name_is_in_the_module_that_holds_the_address)
{
	static const int here;
	char long_name[400], out[LF_FRAME_MAX + 1] = "";
	size_t len;

	memset(long_name, 'x', sizeof(long_name));
	out[lf_frame_in(&here, (struct lf_text){ "caf\xe9", 4 }, out)] = '\0';
	cr_assert_str_eq(out, "unit!caf\\xe9");
	len = lf_frame_in(&here, (struct lf_text){ long_name, sizeof(long_name) }, out);
	cr_assert_eq(len, LF_FRAME_MAX);
	len = lf_frame_in((void *)16, (struct lf_text){ "f", 1 }, out);
	cr_assert(len == 5 && memcmp(out, "[jit]", 5) == 0);
}

Test(frame, code_outside_every_module_is_jit)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(memory, MAP_FAILED);
	expect_frame((char *)memory + 100, "[jit]");
	expect_frame(NULL, "[jit]");
	expect_frame((const void *)1, "[jit]");
	expect_frame((const void *)UINTPTR_MAX, "[jit]");
}

Test(frame, errno_and_open_files_are_as_before)
{
	char out[LF_FRAME_MAX];
	DIR *fds = opendir("/proc/self/fd");
	int before = 0, after = 0;

	cr_assert(fds);
	while (readdir(fds))
		before++;
	errno = ENOTTY;
	(void)lf_frame_of(at_isra + 3, out);
	(void)lf_frame_of((const char *)(uintptr_t)&strlen + 3, out);
	(void)lf_frame_of(out, out);
	cr_assert_eq(errno, ENOTTY);
	rewinddir(fds);
	while (readdir(fds))
		after++;
	(void)closedir(fds);
	cr_assert_eq(before, after, "%d open files before, %d after", before, after);
}

struct asked {
	pthread_barrier_t *start;
	char out[LF_FRAME_MAX];
	size_t len;
};

static void *ask(void *argument)
{
	struct asked *asked = argument;

	(void)pthread_barrier_wait(asked->start);
	asked->len = lf_frame_of(at_chain + 3, asked->out);
	return NULL;
}

Test(frame, threads_that_meet_a_module_at_once_get_one_answer)
{
	struct asked asked[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t start;
	size_t i;

	cr_assert_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (i = 0; i < THREADS; i++) {
		asked[i].start = &start;
		cr_assert_eq(pthread_create(&threads[i], NULL, ask, &asked[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
		cr_assert_eq(asked[i].len, asked[0].len);
		cr_assert_eq(memcmp(asked[i].out, asked[0].out, asked[0].len), 0);
	}
	cr_assert(memchr(asked[0].out, '!', asked[0].len));
}

static const char constant_text[] = "constant";
static char writable_text[] = "writable";
static char zeroed_text[64];
static char *const relocated[] = { writable_text, zeroed_text };

Test(frame, what_the_program_cannot_write_is_a_constant)
{
	cr_expect(lf_is_constant(constant_text));
	cr_expect(lf_is_constant((const void *)(uintptr_t)&own_name), "code");
	cr_expect(lf_is_constant(relocated), "a table that the loader filled in (RELRO)");
	cr_expect(lf_is_constant((const void *)(uintptr_t)&strlen), "a library's code");
}

Test(frame, what_the_program_may_write_is_none)
{
	char *heap = malloc(16);

	cr_expect_not(lf_is_constant(writable_text), "data");
	cr_expect_not(lf_is_constant(zeroed_text), "bss");
	cr_expect_not(lf_is_constant(&heap), "stack");
	cr_expect_not(lf_is_constant(heap), "heap");
	cr_expect_not(lf_is_constant(stdout), "a library's data");
	cr_expect_not(lf_is_constant(NULL));
	free(heap);
}

Test(frame, only_what_was_loaded_from_a_file_is_in_a_module)
{
	char *heap = malloc(16);

	cr_expect(lf_is_in_module(writable_text));
	cr_expect(lf_is_in_module((const void *)(uintptr_t)&strlen));
	cr_expect_not(lf_is_in_module(&heap));
	cr_expect_not(lf_is_in_module(heap));
	cr_expect_not(lf_is_in_module(NULL));
	free(heap);
}

Test(frame, a_file_without_functions_has_an_index_without_functions)
{
	struct lf_module module = { .path = "empty" };
	struct stat st;
	int fd = memfd_create("empty", MFD_CLOEXEC);
	struct lf_symbols *symbols;
	char name[LF_SYMBOL_MAX];

	cr_assert_eq(lf_sys_fstat(fd, &st), 0);
	symbols = lf_symbols_build(&module, fd, &st);
	cr_assert(symbols);
	cr_expect_eq(symbols->count, 0);
	cr_expect_eq(lf_symbols_name(symbols, fd, 0x1000, name), 0);
	lf_symbols_free(symbols);
	cr_assert_eq(lf_sys_close(fd), 0);
}

Test(frame, an_index_is_sorted_and_built_once_for_a_file)
{
	const struct lf_symbols *first, *again;
	struct lf_module module;
	struct stat st;
	int fd;

	cr_assert(lf_module_find(at_isra, &module));
	fd = lf_module_open(&module, &st);
	cr_assert_geq(fd, 0);
	first = lf_symbols_of(&module, fd, &st);
	again = lf_symbols_of(&module, fd, &st);
	cr_assert(first && first == again);
	cr_assert_gt(first->count, 20);
	for (size_t i = 1; i < first->count; i++)
		cr_assert_leq(first->functions[i - 1].start, first->functions[i].start);
	cr_assert_eq(lf_sys_close(fd), 0);
}

static unsigned long address_space_pages(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	cr_assert(statm && fscanf(statm, "%lu", &pages) == 1);
	(void)fclose(statm);
	return pages;
}

Test(frame, further_frames_of_an_indexed_module_take_no_memory)
{
	unsigned long before, after;
	char out[LF_FRAME_MAX];

	(void)lf_frame_of(at_isra + 3, out);
	(void)address_space_pages(); /* stdio takes its own */
	before = address_space_pages();
	for (int i = 0; i < 100; i++)
		(void)lf_frame_of(at_isra + 3, out);
	after = address_space_pages();
	cr_assert_eq(before, after, "%lu pages before, %lu after", before, after);
}

Test(frame, a_file_changed_within_the_same_second_gets_an_index_of_its_own)
{
	struct timespec times[2] = { { 1000, 1 }, { 1000, 1 } };
	struct lf_module module = { .path = "changing" };
	const struct lf_symbols *first, *second;
	struct stat st;
	int fd = memfd_create("changing", MFD_CLOEXEC);

	cr_assert_eq(futimens(fd, times), 0);
	cr_assert_eq(lf_sys_fstat(fd, &st), 0);
	first = lf_symbols_of(&module, fd, &st);
	times[1].tv_nsec = 2;
	cr_assert_eq(futimens(fd, times), 0);
	cr_assert_eq(lf_sys_fstat(fd, &st), 0);
	second = lf_symbols_of(&module, fd, &st);
	cr_assert(first && second && first != second);
	cr_assert_eq(lf_sys_close(fd), 0);
}

/* What comes before error and error_at_line (stub_error_entry.S). */
#include <errno.h>
#include <error.h>
#include <string.h>

#include "agent/hook/said.h"

/* Called by the entries in assembly, with the arguments as they were saved; true: leave it out. */
bool lf_error_before(const void *saved, void *on_the_stack, const void *ret);
bool lf_error_at_line_before(const void *saved, void *on_the_stack, const void *ret);

struct arguments {
	va_list list;
};

/* From the first one on. */
static void open_arguments(struct arguments *arguments, const void *saved, void *on_the_stack)
{
	enum { GENERAL = 8, VECTOR = 16, VECTORS = 8 }; /* bytes of a register; how many there are */
	char *registers = (char *)(uintptr_t)saved;

#if defined(__x86_64__)
	arguments->list->gp_offset = 0;
	arguments->list->fp_offset = 6 * GENERAL;
	arguments->list->reg_save_area = registers;
	arguments->list->overflow_arg_area = on_the_stack;
	_Static_assert(6 * GENERAL + VECTORS * VECTOR == 176, "as stub_error_entry.S saves them");
#elif defined(__aarch64__)
	arguments->list.__stack = on_the_stack;
	arguments->list.__gr_top = registers + 8 * GENERAL;
	arguments->list.__gr_offs = -8 * GENERAL;
	arguments->list.__vr_top = registers + 8 * GENERAL + VECTORS * VECTOR;
	arguments->list.__vr_offs = -VECTORS * VECTOR;
#endif
}

static void render(const struct lf_said *said, struct lf_said_text *out)
{
	int error = errno;
	va_list args;

	if (!error_print_progname)
		lf_said_add(out, said->source ? "%s:" : "%s: ", program_invocation_name);
	if (said->source)
		lf_said_add(out, "%s:%u: ", said->source, said->line);
	errno = error;
	va_copy(args, *said->args);
	lf_said_add_format(out, LF_NOT_FORTIFIED, said->text, args);
	va_end(args);
	errno = said->errnum;
	lf_said_add(out, said->errnum ? ": %m\n" : "\n");
}

/* The real call flushes stdout before it prints: what the program put there by itself must be seen
 * first, whatever stderr is. */
static struct lf_process *before_flush(const void *ret)
{
	struct lf_process *process = lf_process_of_console(lf_console_fd_of(stdout));

	if (process)
		lf_inline_putc_catch_up(process, stdout, ret);
	return process;
}

/* As the real call would, where somebody may print in its place or nobody at all. */
static bool say_instead(struct lf_said *said)
{
	bool left_out;

	if (said->may_leave_out)
		(void)lf_real_fflush(stdout);
	left_out = lf_said(said);
	if (left_out) {
		(void)lf_real_fflush(stderr);
		error_message_count++;
	}
	return left_out;
}

static bool before(struct lf_said *said)
{
	struct lf_process *printed, *process;
	int error = errno;
	bool left_out;

	printed = before_flush(said->ret);
	process = lf_process_of_console(lf_console_fd_of(stderr));
	said->render = render;
	said->fortify = LF_NOT_FORTIFIED;
	said->orients = true;
	said->may_leave_out = said->may_leave_out && !error_print_progname && process &&
	                      lf_message_any_rules(process);
	lf_said_on(said, stderr);
	left_out = say_instead(said);
	if (printed)
		lf_inline_putc_flushed(printed, stdout);
	if (process)
		lf_inline_putc_flushed(process, stderr);
	errno = error;
	return left_out;
}

bool lf_error_before(const void *saved, void *on_the_stack, const void *ret)
{
	struct arguments arguments;
	struct lf_said said = { .ret = ret, .args = &arguments.list };

	lf_process_start();
	open_arguments(&arguments, saved, on_the_stack);
	said.may_leave_out = va_arg(arguments.list, int) == 0;
	said.errnum = va_arg(arguments.list, int);
	said.text = va_arg(arguments.list, const char *);
	said.method = lf_method_code(LF_METHOD_error, LF_NO_FD);
	return before(&said);
}

/* Whether libc will print nothing, as the last call named the same line; it keeps that only while
 * error_one_per_line is set, and so do we. */
static bool repeats_line(const char *source, unsigned line)
{
	static _Atomic(const char *) last_source;
	static _Atomic unsigned last_line;
	const char *last = atomic_load_explicit(&last_source, memory_order_relaxed);
	bool same;

	if (!error_one_per_line)
		return false;
	same = atomic_load_explicit(&last_line, memory_order_relaxed) == line &&
	       (last == source || (last && source && strcmp(last, source) == 0));
	atomic_store_explicit(&last_source, source, memory_order_relaxed);
	atomic_store_explicit(&last_line, line, memory_order_relaxed);
	return same;
}

bool lf_error_at_line_before(const void *saved, void *on_the_stack, const void *ret)
{
	struct arguments arguments;
	struct lf_said said = { .ret = ret, .args = &arguments.list };

	lf_process_start();
	open_arguments(&arguments, saved, on_the_stack);
	/* Left out, a line would not be libc's last one. */
	said.may_leave_out = va_arg(arguments.list, int) == 0 && !error_one_per_line;
	said.errnum = va_arg(arguments.list, int);
	said.source = va_arg(arguments.list, const char *);
	said.line = va_arg(arguments.list, unsigned);
	said.text = va_arg(arguments.list, const char *);
	said.method = lf_method_code(LF_METHOD_error_at_line, LF_NO_FD);
	return !repeats_line(said.source, said.line) && before(&said);
}

/* Calls with a format string. */
#include <errno.h>
#include <stdlib.h>

#include "agent/hook/caller.h"
#include "agent/hook/carrier.h"
#include "agent/hook/quiet.h"
#include "agent/hook/stub.h"
#include "hashing/frame.h"

enum { NOT_FORTIFIED = -1 };

struct call {
	const void *ret;
	FILE *file; /* NULL: to the fd */
	int fd;
	int fortify; /* the flag argument of the __…_chk form, or NOT_FORTIFIED */
	uint32_t method;
	const char *format;
	va_list *args;
};

static inline __attribute__((always_inline)) int print(FILE *file, int fd, int fortify,
                                                       const char *format, va_list args)
{
	if (!file)
		return fortify == NOT_FORTIFIED ? lf_real_vdprintf(fd, format, args)
		                                : lf_real___vdprintf_chk(fd, fortify, format, args);
	return fortify == NOT_FORTIFIED ? lf_real_vfprintf(file, format, args)
	                                : lf_real___vfprintf_chk(file, fortify, format, args);
}

static int print_call(const struct call *call)
{
	return print(call->file, call->fd, call->fortify, call->format, *call->args);
}

/* As the real call would, with its checks; `args` is used up. */
static int render(const struct call *call, va_list args, char *out, size_t size)
{
	if (call->fortify == NOT_FORTIFIED)
		return lf_real_vsnprintf(out, size, call->format, args);
	return lf_real___vsnprintf_chk(out, size, call->fortify, (size_t)-1, call->format, args);
}

static uintptr_t stream_of(const struct call *call)
{
	return call->file ? lf_stream_of_file(call->file) : lf_stream_of_fd(call->fd);
}

static bool ends_line(const char *format)
{
	size_t len = strlen(format);

	return len && format[len - 1] == '\n';
}

/* `args` is used up; `len` is what the call prints.  Returns how much of it there is: less where the host
 * has changed its strings meanwhile. */
static size_t render_whole(const struct call *call, va_list args, size_t len,
                           struct lf_stub_text *out)
{
	int rendered = -1;

	lf_stub_text_take(out, len + 1);
	if (out->data)
		rendered = render(call, args, out->data, len + 1);
	if (rendered < 0)
		return 0;
	return (size_t)rendered < len ? (size_t)rendered : len;
}

/* "%s" and "%s\n" need no rendering: the argument is the text, and the length is known. */
static bool is_plain(const char *format, bool *newline)
{
	*newline = format[0] == '%' && format[1] == 's' && format[2] == '\n' && !format[3];
	return *newline || (format[0] == '%' && format[1] == 's' && !format[2]);
}

static void count_carried(struct lf_process *process, const struct call *call, va_list args,
                          size_t len)
{
	struct lf_origin origin = lf_message_origin(process, call->ret, call->method);
	struct lf_stub_text rendered;
	bool newline;

	if (is_plain(call->format, &newline)) {
		const char *text = va_arg(args, const char *);

		lf_lines_count(process, stream_of(call), origin,
		               (struct lf_text){ text ? text : "(null)", len - newline }, newline);
		return;
	}
	len = render_whole(call, args, len, &rendered);
	if (len > 0)
		lf_lines_count(process, stream_of(call), origin,
		               (struct lf_text){ rendered.data, len }, false);
	else
		lf_message_count(process, NULL, LF_PASSED);
	lf_stub_text_give(&rendered);
}

/* Some message has a flag: the text must be known before it is printed.  False when it cannot be;
 * nothing has been printed then. */
static bool print_carried_judged(struct lf_process *process, const struct call *call, int *result)
{
	struct lf_console_out out = lf_stub_out(call->file, call->fd);
	struct lf_origin origin = lf_message_origin(process, call->ret, call->method);
	struct lf_stub_text rendered;
	va_list args;
	bool whole;
	int len;

	va_copy(args, *call->args);
	len = render(call, args, NULL, 0);
	va_end(args);
	if (len <= 0)
		return false;
	va_copy(args, *call->args);
	whole = render_whole(call, args, (size_t)len, &rendered) == (size_t)len;
	va_end(args);
	if (whole)
		*result = lf_lines_print_judged(process, origin,
		                                (struct lf_text){ rendered.data, (size_t)len },
		                                &out) == len ? len : -1;
	lf_stub_text_give(&rendered);
	return whole;
}

static int print_carried(struct lf_process *process, const struct call *call)
{
	int before = errno, after, len;
	va_list args;

	if (lf_message_any_rules(process) && lf_stub_may_suppress(call->file) &&
	    print_carried_judged(process, call, &len))
		return len;
	va_copy(args, *call->args);
	len = print_call(call);
	after = errno;
	if (len > 0) {
		errno = before; /* %m */
		count_carried(process, call, args, (size_t)len);
		errno = after;
	}
	va_end(args);
	return len;
}

/* Printed or left out, the call's newline is behind what was open. */
static void end_open_line(struct lf_process *process, const struct call *call)
{
	if (lf_lines_any_open(process) && strchr(call->format, '\n'))
		lf_lines_newline(process, stream_of(call));
}

static int leave_out(struct lf_process *process, const struct call *call, struct lf_slot *slot,
                     enum lf_outcome outcome)
{
	int len = (int)slot->fixed_len - 1;

	if (!slot->fixed_len) {
		len = render(call, *call->args, NULL, 0);
		if (len < 0)
			return len;
	}
	lf_message_count(process, slot, outcome);
	end_open_line(process, call);
	if (!ends_line(call->format))
		lf_lines_leave_open(process, stream_of(call), outcome);
	else if (outcome == LF_MUTED && slot->fixed_len && call->file)
		lf_quiet_put(process, slot, call->ret, call->format, call->method, call->file, len);
	return len;
}

static int print_message(struct lf_process *process, const struct call *call,
                         struct lf_slot *slot)
{
	enum lf_outcome outcome = lf_stub_judge(process, slot, call->file, call->fd);
	int len;

	if (outcome != LF_PASSED)
		return leave_out(process, call, slot, outcome);
	len = print_call(call);
	if (len >= 0) {
		lf_message_count(process, slot, LF_PASSED);
		end_open_line(process, call);
		if (!ends_line(call->format))
			lf_lines_leave_open(process, stream_of(call), LF_PASSED);
	}
	return len;
}

static uint64_t first_sight(struct lf_process *process, const struct call *call)
{
	struct lf_text text = { call->format, strlen(call->format) };
	uint64_t target = LF_TARGET_CARRIER;

	if (!lf_format_is_carrier(call->format)) {
		struct lf_origin origin = lf_message_origin(process, call->ret, call->method);

		target = lf_target_of(lf_message_verbatim(process, origin, LF_KIND_FORMAT, text,
		                                          lf_format_fixed_len(call->format)),
		                      !ends_line(call->format));
	}
	/* Cached only where neither address can come to mean something else unnoticed. */
	if (target != LF_TARGET_OVERFLOW && lf_is_constant(call->format) &&
	    lf_is_in_module(call->ret))
		lf_site_add(&process->cache, call->ret, lf_site_text(call->format, call->method),
		            0, target);
	return target;
}

/* The long way: start-up, first sights, carriers, flags, open lines. */
static int go_long(struct call *call)
{
	struct lf_process *process = lf_process_of_console(call->fd);
	uint64_t target;
	int len;

	if (!process || !call->format)
		return print_call(call);
	call->ret = lf_caller_unskipped(process, call->ret);
	if (call->file)
		lf_inline_putc_catch_up(process, call->file, call->ret);
	lf_stub_tell_due(process, call->file, call->fd);
	target = lf_site_find(&process->cache, call->ret,
	                      lf_site_text(call->format, call->method), 0);
	if (target == LF_TARGET_NONE)
		target = first_sight(process, call);
	if (target == LF_TARGET_CARRIER)
		len = print_carried(process, call);
	else
		len = print_message(process, call, lf_target_slot(target));
	if (call->file)
		lf_inline_putc_mark(process, call->file, call->ret);
	return len;
}

/* Apart from format_call(), because a function with a va_list of its own is not inlined. */
static __attribute__((noinline)) int go_long_with(const void *ret, FILE *file, int fd, int fortify,
                                                  uint32_t method, const char *format,
                                                  va_list args)
{
	struct call call = { ret, file, fd, fortify, method, format, NULL };
	va_list copy;
	int len;

	va_copy(copy, args);
	call.args = &copy;
	len = go_long(&call);
	va_end(copy);
	return len;
}

static inline __attribute__((always_inline)) int
print_passing(struct lf_process *process, struct lf_slot *slot, FILE *file, int fd, int fortify,
              const char *format, va_list args)
{
	int len = print(file, fd, fortify, format, args);

	if (LF_LIKELY(len >= 0))
		lf_message_count(process, slot, LF_PASSED);
	return len;
}

static inline __attribute__((always_inline)) int
format_call(const void *ret, FILE *file, int fd, int fortify, uint32_t method, const char *format,
            va_list args)
{
	uint32_t class = lf_console_class(fd);

	if (LF_LIKELY(class & LF_FD_CONSOLE)) {
		struct lf_process *process = lf_process_now();
		struct lf_slot *slot = lf_stub_slot(process, ret, format, method, 0);

		if (LF_LIKELY(slot && lf_message_passes(process, slot)))
			return print_passing(process, slot, file, fd, fortify, format, args);
		if (slot && lf_stub_may_leave_out(process, slot, file)) {
			lf_message_count(process, slot, LF_MUTED);
			return (int)slot->fixed_len - 1;
		}
	} else if (class & LF_FD_OTHER) {
		return print(file, fd, fortify, format, args);
	}
	return go_long_with(ret, file, fd, fortify, method, format, args);
}

/* A call with a va_list, all the way up to whose line it is. */
static __attribute__((noinline)) int climb_and_call(const void *ret, const void *frame, FILE *file,
                                                    int fd, int fortify, uint32_t method,
                                                    const char *format, va_list args)
{
	return format_call(lf_caller_of_wrapper(ret, frame), file,
	                   file ? lf_console_fd_of(file) : fd, fortify, method, format, args);
}

/* The same where that is a known step or two, and the site behind it is known.  Frame and return address
 * are asked for anew where they are needed, or the compiler keeps them in registers. */
static inline __attribute__((always_inline)) int
wrapped_call(FILE *file, int fd, int fortify, uint32_t method, const char *format, va_list args)
{
	uint32_t class = lf_console_class(fd);

	if (LF_LIKELY(class & LF_FD_CONSOLE)) {
		struct lf_process *process = lf_process_now();
		const void *caller = LF_LIKELY(process) ? lf_caller_quick(process) : NULL;
		struct lf_slot *slot =
			LF_LIKELY(caller) ? lf_stub_slot(process, caller, format, method, 0) : NULL;

		if (LF_LIKELY(slot && lf_message_passes(process, slot)))
			return print_passing(process, slot, file, fd, fortify, format, args);
	} else if (class & LF_FD_OTHER) {
		return print(file, fd, fortify, format, args);
	}
	return climb_and_call(__builtin_return_address(0), __builtin_frame_address(0), file,
	                      file ? LF_NO_FD : fd, fortify, method, format, args);
}

#define CALLER __builtin_return_address(0)
#define ON_FILE(method) lf_method_code(LF_METHOD_##method, LF_NO_FD)

/* With the last named parameter, the arguments that follow become a va_list. */
#define LF_VARIADIC(last, expression) \
	va_list args; \
	int len; \
	va_start(args, last); \
	len = expression; \
	va_end(args); \
	return len

#define LF_STUB_printf(symbol, method) \
	LF_STUB_LINKAGE int LF_STUB_BODY(symbol)(const char *format, ...); \
	int LF_STUB_BODY(symbol)(const char *format, ...) \
	{ \
		LF_VARIADIC(format, format_call(CALLER, stdout, lf_console_fd_of(stdout), NOT_FORTIFIED, \
		                                ON_FILE(method), format, args)); \
	}
#define LF_STUB_printf_chk(symbol, method) \
	LF_STUB_LINKAGE int LF_STUB_BODY(symbol)(int flag, const char *format, ...); \
	int LF_STUB_BODY(symbol)(int flag, const char *format, ...) \
	{ \
		LF_VARIADIC(format, format_call(CALLER, stdout, lf_console_fd_of(stdout), flag, \
		                                ON_FILE(method), format, args)); \
	}
#define LF_STUB_fprintf(symbol, method) \
	LF_STUB_LINKAGE int LF_STUB_BODY(symbol)(FILE *file, const char *format, ...); \
	int LF_STUB_BODY(symbol)(FILE *file, const char *format, ...) \
	{ \
		LF_VARIADIC(format, format_call(CALLER, file, lf_console_fd_of(file), NOT_FORTIFIED, \
		                                ON_FILE(method), format, args)); \
	}
#define LF_STUB_fprintf_chk(symbol, method) \
	LF_STUB_LINKAGE int LF_STUB_BODY(symbol)(FILE *file, int flag, const char *format, ...); \
	int LF_STUB_BODY(symbol)(FILE *file, int flag, const char *format, ...) \
	{ \
		LF_VARIADIC(format, format_call(CALLER, file, lf_console_fd_of(file), flag, \
		                                ON_FILE(method), format, args)); \
	}
#define LF_STUB_dprintf(symbol, method) \
	LF_EXPORT int symbol(int fd, const char *format, ...); \
	int symbol(int fd, const char *format, ...) \
	{ \
		LF_VARIADIC(format, format_call(CALLER, NULL, fd, NOT_FORTIFIED, \
		                                lf_method_code(LF_METHOD_##method, fd), format, \
		                                args)); \
	}
#define LF_STUB_dprintf_chk(symbol, method) \
	LF_EXPORT int symbol(int fd, int flag, const char *format, ...); \
	int symbol(int fd, int flag, const char *format, ...) \
	{ \
		LF_VARIADIC(format, format_call(CALLER, NULL, fd, flag, \
		                                lf_method_code(LF_METHOD_##method, fd), format, \
		                                args)); \
	}
#define LF_STUB_vprintf(symbol, method) \
	LF_EXPORT int symbol(const char *format, va_list args); \
	int symbol(const char *format, va_list args) \
	{ \
		return wrapped_call(stdout, lf_console_fd_of(stdout), NOT_FORTIFIED, ON_FILE(method), \
		                   format, args); \
	}
#define LF_STUB_vprintf_chk(symbol, method) \
	LF_EXPORT int symbol(int flag, const char *format, va_list args); \
	int symbol(int flag, const char *format, va_list args) \
	{ \
		return wrapped_call(stdout, lf_console_fd_of(stdout), flag, ON_FILE(method), format, \
		                   args); \
	}
#define LF_STUB_vfprintf(symbol, method) \
	LF_EXPORT int symbol(FILE *file, const char *format, va_list args); \
	int symbol(FILE *file, const char *format, va_list args) \
	{ \
		return wrapped_call(file, lf_console_fd_of(file), NOT_FORTIFIED, ON_FILE(method), \
		                   format, args); \
	}
#define LF_STUB_vfprintf_chk(symbol, method) \
	LF_EXPORT int symbol(FILE *file, int flag, const char *format, va_list args); \
	int symbol(FILE *file, int flag, const char *format, va_list args) \
	{ \
		return wrapped_call(file, lf_console_fd_of(file), flag, ON_FILE(method), format, args); \
	}
#define LF_STUB_vdprintf(symbol, method) \
	LF_EXPORT int symbol(int fd, const char *format, va_list args); \
	int symbol(int fd, const char *format, va_list args) \
	{ \
		return wrapped_call(NULL, fd, NOT_FORTIFIED, \
		                   lf_method_code(LF_METHOD_##method, fd), format, args); \
	}
#define LF_STUB_vdprintf_chk(symbol, method) \
	LF_EXPORT int symbol(int fd, int flag, const char *format, va_list args); \
	int symbol(int fd, int flag, const char *format, va_list args) \
	{ \
		return wrapped_call(NULL, fd, flag, \
		                   lf_method_code(LF_METHOD_##method, fd), format, args); \
	}

#define LF_FORMAT_CALL(symbol, method, shape) LF_STUB_##shape(symbol, method)
#include "agent/hook/interposed.def"

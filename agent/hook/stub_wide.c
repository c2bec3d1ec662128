/* Calls that print wide characters.
 *
 * A message is known by its text in UTF-8, whatever the locale makes of it on its way out.  These calls
 * are never left out: nothing else could be printed in their place, as a stream is either wide or not.
 */
#include <errno.h>
#include <wchar.h>

#include "agent/hook/caller.h"
#include "agent/hook/carrier.h"
#include "agent/hook/stub.h"
#include "hashing/frame.h"

/* Macros with the names of the functions that stand here. */
#undef putwc
#undef putwc_unlocked
#undef fputwc_unlocked
#undef putwchar
#undef putwchar_unlocked
#undef fputws_unlocked

enum { NOT_FORTIFIED = -1, UTF8_MAX = 4 };

struct wide_call {
	const void *ret;
	FILE *file;
	uint32_t method;
	const wchar_t *text; /* the format, or what is printed */
	int fortify;         /* of a format */
	va_list *args;       /* of a format */
	const void *real;    /* of a text: which of the twins */
};

/* What is no character becomes bytes that are none, either: they are escaped like all others. */
static char *put_utf8(char *out, wchar_t wide)
{
	uint32_t c = (uint32_t)wide;

	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x110000) {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)0xff;
	}
	return out;
}

/* The text in UTF-8 with a NUL behind it; `data` is NULL when there was no memory for it. */
static struct lf_text convert(const wchar_t *text, size_t chars, struct lf_stub_text *room)
{
	char *end;

	lf_stub_text_take(room, chars * UTF8_MAX + 1);
	if (!room->data)
		return (struct lf_text){ NULL, 0 };
	end = room->data;
	for (size_t i = 0; i < chars; i++)
		end = put_utf8(end, text[i]);
	*end = '\0';
	return (struct lf_text){ room->data, (size_t)(end - room->data) };
}

static uintptr_t stream_of(const struct wide_call *call)
{
	return lf_stream_of_file(call->file);
}

static void count_lines(struct lf_process *process, const struct wide_call *call,
                        const wchar_t *text, size_t chars)
{
	struct lf_stub_text room;
	struct lf_text bytes = convert(text, chars, &room);

	if (bytes.data)
		lf_lines_count(process, stream_of(call),
		               lf_message_origin(process, call->ret, call->method), bytes, false);
	else
		lf_message_count(process, NULL, LF_PASSED);
	lf_stub_text_give(&room);
}

/* A format without a word, or a text that is not constant. */
static bool is_carrier(const struct wide_call *call, struct lf_text bytes)
{
	static const char blank[] = " \t\r\n\v\f";

	if (call->args)
		return lf_format_is_carrier(bytes.data);
	return !lf_is_constant(call->text) || !lf_is_constant(call->text + wcslen(call->text)) ||
	       strspn(bytes.data, blank) == bytes.len;
}

static uint64_t first_sight(struct lf_process *process, const struct wide_call *call)
{
	uint64_t target = LF_TARGET_CARRIER;
	struct lf_stub_text room;
	struct lf_text bytes = convert(call->text, wcslen(call->text), &room);

	if (!bytes.data)
		return LF_TARGET_OVERFLOW;
	if (!is_carrier(call, bytes))
		target = lf_target_of(
			lf_message_verbatim(process,
		                            lf_message_origin(process, call->ret, call->method),
		                            call->args ? LF_KIND_FORMAT : LF_KIND_CONSTANT, bytes, 0),
			false);
	lf_stub_text_give(&room);
	/* Cached only where neither address can come to mean something else unnoticed. */
	if (target != LF_TARGET_OVERFLOW && lf_is_constant(call->text) &&
	    lf_is_in_module(call->ret))
		lf_site_add(&process->cache, call->ret, lf_site_text(call->text, call->method), 0,
		            target);
	return target;
}

static uint64_t find_target(struct lf_process *process, struct wide_call *call)
{
	uint64_t target;

	call->ret = lf_caller_unskipped(process, call->ret);
	target = lf_site_find(&process->cache, call->ret,
	                      lf_site_text(call->text, call->method), 0);
	return target == LF_TARGET_NONE ? first_sight(process, call) : target;
}

static void count_message(struct lf_process *process, const struct wide_call *call,
                          uint64_t target)
{
	const wchar_t *newline = wcsrchr(call->text, L'\n');

	lf_message_count(process, lf_target_slot(target), LF_PASSED);
	if (newline)
		lf_lines_newline(process, stream_of(call));
	if (!newline || newline[1])
		lf_lines_leave_open(process, stream_of(call), LF_PASSED);
}

/* `args` is used up; the call printed that many characters. */
static void count_rendered(struct lf_process *process, const struct wide_call *call, va_list args,
                           size_t chars)
{
	struct lf_stub_text room;
	size_t size = chars + 1;
	wchar_t *text;
	int len = -1;

	lf_stub_text_take(&room, size * sizeof(wchar_t));
	text = (void *)room.data;
	if (text)
		len = call->fortify == NOT_FORTIFIED
		              ? lf_real_vswprintf(text, size, call->text, args)
		              : lf_real___vswprintf_chk(text, size, call->fortify, size, call->text,
		                                        args);
	if (len >= 0)
		count_lines(process, call, text, (size_t)len);
	else
		lf_message_count(process, NULL, LF_PASSED);
	lf_stub_text_give(&room);
}

static int print_format(const struct wide_call *call, va_list args)
{
	return call->fortify == NOT_FORTIFIED
	               ? lf_real_vfwprintf(call->file, call->text, args)
	               : lf_real___vfwprintf_chk(call->file, call->fortify, call->text, args);
}

static void count_format(struct lf_process *process, struct wide_call *call, va_list args, int len)
{
	uint64_t target = find_target(process, call);

	if (target != LF_TARGET_CARRIER)
		count_message(process, call, target);
	else if (len > 0)
		count_rendered(process, call, args, (size_t)len);
}

static int format_call(struct wide_call *call, va_list args)
{
	struct lf_process *process = lf_process_of_console(lf_console_fd_of(call->file));
	int len, error, before = errno;
	va_list copy;

	if (!process || !call->text)
		return print_format(call, args);
	va_copy(copy, args);
	call->args = &copy;
	len = print_format(call, args);
	if (len >= 0) {
		error = errno;
		errno = before; /* %m */
		count_format(process, call, copy, len);
		errno = error;
	}
	va_end(copy);
	return len;
}

static int text_call(struct wide_call *call)
{
	struct lf_process *process = lf_process_of_console(lf_console_fd_of(call->file));
	int (*real)(const wchar_t *, FILE *) =
		*(int (*const *)(const wchar_t *, FILE *))(uintptr_t)call->real;
	int result = real(call->text, call->file);
	uint64_t target;

	if (!process || result < 0 || !call->text[0])
		return result;
	target = find_target(process, call);
	if (target == LF_TARGET_CARRIER)
		count_lines(process, call, call->text, wcslen(call->text));
	else
		count_message(process, call, target);
	return result;
}

/* After the real call. */
static void count_char(const void *ret, FILE *file, uint32_t method, wchar_t c)
{
	struct lf_process *process = lf_process_of_console(lf_console_fd_of(file));
	struct wide_call call = { .file = file, .method = method };

	if (!process)
		return;
	call.ret = lf_caller_unskipped(process, ret);
	count_lines(process, &call, &c, 1);
}

#define DIRECT_CALLER __builtin_return_address(0)
#define CODE(method) lf_method_code(LF_METHOD_##method, LF_NO_FD)
#define IS_OTHER(file) (lf_console_class(lf_console_fd_of(file)) & LF_FD_OTHER)

#define V_FORM(name, to, flag, format, args) \
	do { \
		const void *ret = IS_OTHER(to) ? NULL : LF_WRAPPER_CALLER; \
		struct wide_call call = { ret, to, CODE(name), format, flag, NULL, NULL }; \
\
		return format_call(&call, args); \
	} while (0)

#define VARIADIC(name, to, flag, format) \
	do { \
		struct wide_call call = { DIRECT_CALLER, to, CODE(name), format, flag, NULL, NULL }; \
		va_list args; \
		int len; \
\
		va_start(args, format); \
		len = format_call(&call, args); \
		va_end(args); \
		return len; \
	} while (0)

#define LF_STUB_wprintf(symbol, method) \
	LF_EXPORT int symbol(const wchar_t *format, ...); \
	int symbol(const wchar_t *format, ...) \
	{ \
		VARIADIC(method, stdout, NOT_FORTIFIED, format); \
	}
#define LF_STUB_wprintf_chk(symbol, method) \
	LF_EXPORT int symbol(int flag, const wchar_t *format, ...); \
	int symbol(int flag, const wchar_t *format, ...) \
	{ \
		VARIADIC(method, stdout, flag, format); \
	}
#define LF_STUB_fwprintf(symbol, method) \
	LF_EXPORT int symbol(FILE *file, const wchar_t *format, ...); \
	int symbol(FILE *file, const wchar_t *format, ...) \
	{ \
		VARIADIC(method, file, NOT_FORTIFIED, format); \
	}
#define LF_STUB_fwprintf_chk(symbol, method) \
	LF_EXPORT int symbol(FILE *file, int flag, const wchar_t *format, ...); \
	int symbol(FILE *file, int flag, const wchar_t *format, ...) \
	{ \
		VARIADIC(method, file, flag, format); \
	}
#define LF_STUB_vwprintf(symbol, method) \
	LF_EXPORT int symbol(const wchar_t *format, va_list args); \
	int symbol(const wchar_t *format, va_list args) \
	{ \
		V_FORM(method, stdout, NOT_FORTIFIED, format, args); \
	}
#define LF_STUB_vwprintf_chk(symbol, method) \
	LF_EXPORT int symbol(int flag, const wchar_t *format, va_list args); \
	int symbol(int flag, const wchar_t *format, va_list args) \
	{ \
		V_FORM(method, stdout, flag, format, args); \
	}
#define LF_STUB_vfwprintf(symbol, method) \
	LF_EXPORT int symbol(FILE *file, const wchar_t *format, va_list args); \
	int symbol(FILE *file, const wchar_t *format, va_list args) \
	{ \
		V_FORM(method, file, NOT_FORTIFIED, format, args); \
	}
#define LF_STUB_vfwprintf_chk(symbol, method) \
	LF_EXPORT int symbol(FILE *file, int flag, const wchar_t *format, va_list args); \
	int symbol(FILE *file, int flag, const wchar_t *format, va_list args) \
	{ \
		V_FORM(method, file, flag, format, args); \
	}

#define LF_STUB_fputws(symbol, method) \
	LF_EXPORT int symbol(const wchar_t *text, FILE *file); \
	int symbol(const wchar_t *text, FILE *file) \
	{ \
		struct wide_call call = { DIRECT_CALLER, file, CODE(method), text, NOT_FORTIFIED, \
			                  NULL, &lf_real_##symbol }; \
\
		return text_call(&call); \
	}

#define LF_STUB_fputwc(symbol, method) \
	LF_EXPORT wint_t symbol(wchar_t c, FILE *file); \
	wint_t symbol(wchar_t c, FILE *file) \
	{ \
		wint_t result; \
\
		lf_process_start(); \
		result = lf_real_##symbol(c, file); \
		if (result != WEOF) \
			count_char(DIRECT_CALLER, file, CODE(method), c); \
		return result; \
	}
#define LF_STUB_putwchar(symbol, method) \
	LF_EXPORT wint_t symbol(wchar_t c); \
	wint_t symbol(wchar_t c) \
	{ \
		wint_t result; \
\
		lf_process_start(); \
		result = lf_real_##symbol(c); \
		if (result != WEOF) \
			count_char(DIRECT_CALLER, stdout, CODE(method), c); \
		return result; \
	}

#define LF_WIDE_CALL(symbol, method, shape) LF_STUB_##shape(symbol, method)
#include "agent/hook/interposed.def"

/* Calls that print bytes to a stream. */
#include "agent/hook/quiet.h"
#include "agent/hook/text_call.h"

/* Macros of <stdio.h> with the names of the functions that stand here. */
#undef fputc_unlocked
#undef putc
#undef putc_unlocked
#undef putchar_unlocked
#undef fputs_unlocked
#undef fwrite_unlocked

#define CALLER __builtin_return_address(0)
#define ON_FILE(method) lf_method_code(LF_METHOD_##method, LF_NO_FD)

typedef int (*real_fputs)(const char *, FILE *);
typedef int (*real_fputc)(int, FILE *);
typedef int (*real_putchar)(int);
typedef size_t (*real_fwrite)(const void *, size_t, size_t, FILE *);

static ssize_t print_puts(struct lf_text_call *call)
{
	call->result = lf_real_puts(call->text.data);
	return call->result < 0 ? -1 : (ssize_t)call->text.len + 1;
}

static void pretend_puts(struct lf_text_call *call, ssize_t taken)
{
	call->result = taken == (ssize_t)call->text.len + 1 ? taken : EOF;
}

static __attribute__((noinline)) int puts_long(const void *ret, const char *text,
                                               uint32_t method)
{
	struct lf_text_call call = {
		.ret = ret,
		.file = stdout,
		.fd = lf_console_fd_of(stdout),
		.method = method,
		.text = { text, text ? strlen(text) : 0 },
		.newline = true,
		.may_be_constant = true,
		.print = print_puts,
		.pretend = pretend_puts,
	};

	lf_text_call(&call);
	return (int)call.result;
}

#define LF_STUB_puts(symbol, method) \
	LF_STUB_LINKAGE int LF_STUB_BODY(symbol)(const char *text); \
	int LF_STUB_BODY(symbol)(const char *text) \
	{ \
		uint32_t class = lf_console_class(lf_console_fd_of(stdout)); \
		uint32_t code = ON_FILE(method); \
\
		if (LF_LIKELY(class & LF_FD_CONSOLE)) { \
			struct lf_process *process = lf_process_now(); \
			struct lf_slot *slot = lf_stub_slot(process, CALLER, text, code, 0); \
\
			if (LF_LIKELY(slot && lf_message_passes(process, slot))) { \
				int result = lf_real_puts(text); \
\
				if (LF_LIKELY(result >= 0)) \
					lf_message_count(process, slot, LF_PASSED); \
				return result; \
			} \
			if (slot && lf_stub_may_leave_out(process, slot, stdout)) { \
				lf_message_count(process, slot, LF_MUTED); \
				return (int)slot->fixed_len - 1; \
			} \
		} else if (class & LF_FD_OTHER) { \
			return lf_real_puts(text); \
		} \
		return puts_long(CALLER, text, code); \
	}

static ssize_t print_fputs(struct lf_text_call *call)
{
	call->result = ((real_fputs)(uintptr_t)call->real)(call->text.data, call->file);
	return call->result < 0 ? -1 : (ssize_t)call->text.len;
}

static void pretend_fputs(struct lf_text_call *call, ssize_t taken)
{
	call->result = taken == (ssize_t)call->text.len ? 1 : EOF;
}

static __attribute__((noinline)) int fputs_long(const void *ret, const char *text, FILE *file,
                                                uint32_t method,
                                                int (*const *real)(const char *, FILE *))
{
	struct lf_text_call call = {
		.ret = ret,
		.file = file,
		.fd = lf_console_fd_of(file),
		.method = method,
		.text = { text, strlen(text) },
		.may_be_constant = true,
		.print = print_fputs,
		.pretend = pretend_fputs,
	};

	lf_process_start();
	call.real = (const void *)(uintptr_t)*real;
	lf_text_call(&call);
	return (int)call.result;
}

#define LF_STUB_fputs(symbol, method) \
	LF_STUB_LINKAGE int LF_STUB_BODY(symbol)(const char *text, FILE *file); \
	int LF_STUB_BODY(symbol)(const char *text, FILE *file) \
	{ \
		uint32_t class = lf_console_class(lf_console_fd_of(file)); \
		uint32_t code = ON_FILE(method); \
\
		if (LF_LIKELY(class & LF_FD_CONSOLE)) { \
			struct lf_process *process = lf_process_now(); \
			struct lf_slot *slot = lf_stub_slot(process, CALLER, text, code, 0); \
\
			if (LF_LIKELY(slot && lf_message_passes(process, slot))) { \
				int result = lf_real_##symbol(text, file); \
\
				if (LF_LIKELY(result >= 0)) \
					lf_message_count(process, slot, LF_PASSED); \
				return result; \
			} \
			if (slot && lf_stub_may_leave_out(process, slot, file)) { \
				lf_message_count(process, slot, LF_MUTED); \
				return 1; \
			} \
		} else if (class & LF_FD_OTHER) { \
			return lf_real_##symbol(text, file); \
		} \
		return fputs_long(CALLER, text, file, code, &lf_real_##symbol); \
	}

static ssize_t print_fputc(struct lf_text_call *call)
{
	call->result = ((real_fputc)(uintptr_t)call->real)((unsigned char)call->text.data[0],
	                                                   call->file);
	return call->result < 0 ? -1 : 1;
}

static void pretend_char(struct lf_text_call *call, ssize_t taken)
{
	call->result = taken == 1 ? (unsigned char)call->text.data[0] : EOF;
}

static int char_call(const void *ret, int c, FILE *file, uint32_t method,
                     ssize_t (*print)(struct lf_text_call *), int (*const *real)(int, FILE *))
{
	char byte = (char)c;
	struct lf_text_call call = {
		.ret = ret,
		.file = file,
		.fd = lf_console_fd_of(file),
		.method = method,
		.text = { &byte, 1 },
		.print = print,
		.pretend = pretend_char,
	};

	lf_process_start();
	call.real = (const void *)(uintptr_t)*real;
	lf_text_call(&call);
	return (int)call.result;
}

#define LF_STUB_fputc(symbol, method) \
	LF_EXPORT int symbol(int c, FILE *file); \
	int symbol(int c, FILE *file) \
	{ \
		if (lf_console_class(lf_console_fd_of(file)) & LF_FD_OTHER) \
			return lf_real_##symbol(c, file); \
		return char_call(CALLER, c, file, ON_FILE(method), print_fputc, &lf_real_##symbol); \
	}

static ssize_t print_putchar(struct lf_text_call *call)
{
	call->result = ((real_putchar)(uintptr_t)call->real)((unsigned char)call->text.data[0]);
	return call->result < 0 ? -1 : 1;
}

/* A putchar to stdout is kept apart from fputc only for the twin that it ends in. */
#define LF_STUB_putchar(symbol, method) \
	LF_EXPORT int symbol(int c); \
	int symbol(int c) \
	{ \
		if (lf_console_class(lf_console_fd_of(stdout)) & LF_FD_OTHER) \
			return lf_real_##symbol(c); \
		return char_call(CALLER, c, stdout, ON_FILE(method), print_putchar, \
		                 (int (*const *)(int, FILE *))&lf_real_##symbol); \
	}

static ssize_t print_putw(struct lf_text_call *call)
{
	int word;

	memcpy(&word, call->text.data, sizeof(word));
	call->result = lf_real_putw(word, call->file);
	return call->result < 0 ? -1 : (ssize_t)sizeof(word);
}

static void pretend_putw(struct lf_text_call *call, ssize_t taken)
{
	call->result = taken == sizeof(int) ? 0 : EOF;
}

/* The bytes of an int, as they lie in memory. */
static int putw_call(const void *ret, int word, FILE *file, uint32_t method)
{
	struct lf_text_call call = {
		.ret = ret,
		.file = file,
		.fd = lf_console_fd_of(file),
		.method = method,
		.text = { (const char *)&word, sizeof(word) },
		.print = print_putw,
		.pretend = pretend_putw,
	};

	lf_process_start();
	lf_text_call(&call);
	return (int)call.result;
}

#define LF_STUB_putw(symbol, method) \
	LF_EXPORT int symbol(int word, FILE *file); \
	int symbol(int word, FILE *file) \
	{ \
		if (lf_console_class(lf_console_fd_of(file)) & LF_FD_OTHER) \
			return lf_real_##symbol(word, file); \
		return putw_call(CALLER, word, file, ON_FILE(method)); \
	}

static ssize_t print_overflow(struct lf_text_call *call)
{
	call->result = lf_real___overflow(call->file, (unsigned char)call->text.data[0]);
	return call->result < 0 ? -1 : 1;
}

/* Where a macro putc_unlocked ends up when the buffer is full; EOF only flushes. */
#define LF_STUB_overflow(symbol, method) \
	LF_EXPORT int symbol(FILE *file, int c); \
	int symbol(FILE *file, int c) \
	{ \
		lf_process_start(); \
		if (c == EOF || (lf_console_class(lf_console_fd_of(file)) & LF_FD_OTHER)) \
			return lf_real_##symbol(file, c); \
		return char_call(CALLER, c, file, ON_FILE(method), print_overflow, &lf_real_fputc); \
	}

static ssize_t print_fwrite(struct lf_text_call *call)
{
	size_t taken = ((real_fwrite)(uintptr_t)call->real)(call->text.data, call->size,
	                                                    call->count, call->file);

	call->result = (ssize_t)taken;
	return taken == call->count ? (ssize_t)call->text.len : (ssize_t)(taken * call->size);
}

static void pretend_fwrite(struct lf_text_call *call, ssize_t taken)
{
	call->result = taken < 0 ? 0 : (ssize_t)((size_t)taken / call->size);
}

static __attribute__((noinline)) size_t
fwrite_long(const void *ret, const void *data, size_t size, size_t count, FILE *file,
            uint32_t method,
            size_t (*const *real)(const void *, size_t, size_t, FILE *))
{
	struct lf_text_call call = {
		.ret = ret,
		.file = file,
		.fd = lf_console_fd_of(file),
		.method = method,
		.text = { data, size * count },
		.may_be_constant = true,
		.site_len = size * count,
		.print = print_fwrite,
		.pretend = pretend_fwrite,
		.size = size,
		.count = count,
	};

	lf_process_start();
	call.real = (const void *)(uintptr_t)*real;
	lf_text_call(&call);
	return (size_t)call.result;
}

#define LF_STUB_fwrite(symbol, method) \
	LF_EXPORT size_t symbol(const void *data, size_t size, size_t count, FILE *file); \
	size_t symbol(const void *data, size_t size, size_t count, FILE *file) \
	{ \
		uint32_t class = lf_console_class(lf_console_fd_of(file)); \
		uint32_t code = ON_FILE(method); \
		size_t len = size * count; \
\
		if (LF_LIKELY((class & LF_FD_CONSOLE) && len)) { \
			struct lf_process *process = lf_process_now(); \
			struct lf_slot *slot = lf_stub_slot(process, CALLER, data, code, len); \
\
			if (LF_LIKELY(slot && lf_message_passes(process, slot))) { \
				size_t taken = lf_real_##symbol(data, size, count, file); \
\
				if (LF_LIKELY(taken == count)) \
					lf_message_count(process, slot, LF_PASSED); \
				return taken; \
			} \
			if (slot && lf_stub_may_leave_out(process, slot, file)) { \
				lf_message_count(process, slot, LF_MUTED); \
				return count; \
			} \
		} else if (class & LF_FD_OTHER) { \
			return lf_real_##symbol(data, size, count, file); \
		} \
		return fwrite_long(CALLER, data, size, count, file, code, \
		                   &lf_real_##symbol); \
	}

#define LF_TEXT_CALL(symbol, method, shape) LF_STUB_##shape(symbol, method)
#include "agent/hook/interposed.def"

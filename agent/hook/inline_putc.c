#include "agent/hook/inline_putc.h"

#include <string.h>
#include <sys/single_threaded.h>

#include "agent/hook/console.h"
#include "agent/hook/lines.h"
#include "hashing/module.h"

/* Other streams may be freed by the time we look at them again. */
static bool is_watched(const struct lf_process *process, FILE *file)
{
	return lf_process_puts_inline(process) && __libc_single_threaded &&
	       (file == stdout || file == stderr) && file->_mode <= 0;
}

void lf_inline_putc_catch_up(struct lf_process *process, FILE *file, const void *ret)
{
	struct lf_stream *stream;
	const void *last;
	char *seen, *end;

	if (!is_watched(process, file) || !lf_console_is(lf_console_fd_of(file)))
		return;
	stream = lf_stream_find(process, lf_stream_of_file(file), true);
	if (!stream)
		return;
	/* Unknown during the call: a signal handler that prints must not mistake the call's own
	 * bytes for the program's. */
	seen = atomic_exchange_explicit(&stream->seen, NULL, memory_order_relaxed);
	end = file->_IO_write_ptr;
	if (!seen || end <= file->_IO_write_base)
		return;
	if (seen < file->_IO_write_base || seen > end)
		seen = file->_IO_write_base; /* flushed since */
	last = atomic_load_explicit(&stream->ret, memory_order_relaxed);
	if (seen < end)
		lf_lines_count(process, lf_stream_of_file(file),
		               lf_message_origin(process, last ? last : ret,
		                                 lf_method_code(LF_METHOD_putc, LF_NO_FD)),
		               (struct lf_text){ seen, (size_t)(end - seen) }, false);
}

static void mark(struct lf_process *process, FILE *file, const void *ret, char *seen)
{
	struct lf_stream *stream;

	if (!is_watched(process, file))
		return;
	stream = lf_stream_find(process, lf_stream_of_file(file), false);
	if (!stream)
		return;
	if (ret)
		atomic_store_explicit(&stream->ret, ret, memory_order_relaxed);
	atomic_store_explicit(&stream->seen, seen, memory_order_relaxed);
}

void lf_inline_putc_mark(struct lf_process *process, FILE *file, const void *ret)
{
	mark(process, file, ret, file->_IO_write_ptr);
}

void lf_inline_putc_flushed(struct lf_process *process, FILE *file)
{
	mark(process, file, NULL, file->_IO_write_base);
}

static bool is_liblogfold(const void *ret)
{
	static const char name[] = "liblogfold.so.";
	struct lf_module module;
	struct lf_text found;

	if (!lf_module_find(ret, &module))
		return false;
	found = lf_module_name(&module);
	return found.len >= sizeof(name) - 1 && memcmp(found.data, name, sizeof(name) - 1) == 0;
}

void lf_inline_putc_linked(struct lf_process *process, FILE *file, const void *ret,
                           const void *caller, bool begins)
{
	if (!is_watched(process, file) || !is_liblogfold(ret))
		return;
	if (begins)
		lf_inline_putc_catch_up(process, file, caller);
	else
		lf_inline_putc_mark(process, file, caller);
}

/* At the end of the program, before stdio flushes: nobody will call any more. */
__attribute__((destructor)) static void catch_up_at_exit(void)
{
	struct lf_process *process = lf_process_now();

	if (!process || !lf_process_enter())
		return;
	lf_inline_putc_catch_up(process, stdout, __builtin_return_address(0));
	lf_inline_putc_catch_up(process, stderr, __builtin_return_address(0));
}

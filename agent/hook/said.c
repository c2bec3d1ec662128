#include "agent/hook/said.h"

#include <errno.h>

#include "agent/hook/caller.h"
#include "agent/hook/carrier.h"
#include "agent/hook/fold.h"
#include "hashing/frame.h"

static const char no_text[] = "";

void lf_said_add_format(struct lf_said_text *text, int fortify, const char *format, va_list args)
{
	size_t room = text->len < text->size ? text->size - text->len : 0;
	char *at = room ? text->data + text->len : NULL;
	int len = fortify == LF_NOT_FORTIFIED
	                  ? lf_real_vsnprintf(at, room, format, args)
	                  : lf_real___vsnprintf_chk(at, room, fortify, (size_t)-1, format, args);

	if (len < 0)
		text->failed = true;
	else
		text->len += (size_t)len;
}

void lf_said_add(struct lf_said_text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	lf_said_add_format(text, LF_NOT_FORTIFIED, format, args);
	va_end(args);
}

/* Past stdio: what has no orientation yet keeps none. */
static ssize_t write_unbuffered(const struct lf_console_out *out, const char *data, size_t len)
{
	return lf_real_write(out->fd, data, len);
}

void lf_said_on(struct lf_said *said, FILE *file)
{
	said->out = lf_stub_out(file, lf_console_fd_of(file));
	if (!said->orients && !file->_mode)
		said->out.write = write_unbuffered;
}

static uintptr_t stream_of(const struct lf_said *said)
{
	return lf_stream_of(&said->out);
}

static uint64_t target_of_text(struct lf_process *process, const struct lf_said *said,
                               struct lf_origin origin)
{
	struct lf_text text = { said->text, strlen(said->text) };
	struct lf_scratch *scratch;
	struct lf_slot *slot;
	const char *end;

	if (lf_is_constant(said->text))
		return lf_target_of(lf_message_verbatim(process, origin, LF_KIND_CONSTANT, text, 0),
		                    false);
	end = memchr(text.data, '\n', text.len);
	if (end)
		text.len = (size_t)(end - text.data);
	scratch = lf_scratch_take(process);
	slot = lf_message_line(process, origin, text, scratch);
	lf_scratch_give(process, scratch);
	return lf_target_of(slot, false);
}

static uint64_t first_sight(struct lf_process *process, const struct lf_said *said)
{
	struct lf_text text = { said->text, strlen(said->text) };
	uint64_t target = LF_TARGET_CARRIER;

	if (!said->render)
		target = target_of_text(process, said,
		                        lf_message_origin(process, said->ret, said->method));
	else if (said->text == no_text || !lf_format_is_carrier(said->text))
		target = lf_target_of(
			lf_message_verbatim(process,
		                            lf_message_origin(process, said->ret, said->method),
		                            LF_KIND_FORMAT, text, 0),
			false);
	/* Cached only where neither address can come to mean something else unnoticed. */
	if (target != LF_TARGET_OVERFLOW && lf_is_constant(said->text) &&
	    lf_is_in_module(said->ret))
		lf_site_add(&process->cache, said->ret, lf_site_text(said->text, said->method), 0,
		            target);
	return target;
}

/* Whether somebody else could print in the call's place.  Asking changes nothing: perror, if it is let
 * through, has another errno where the stream was oriented before it. */
static bool is_replaceable(const struct lf_said *said)
{
	FILE *file = said->out.file;

	return !file || (!(file->_flags & LF_FILE_NO_WRITES) && file->_mode <= 0);
}

/* What the call would have left behind, which was not made. */
static void orient(const struct lf_said *said)
{
	if (said->orients && said->out.file)
		(void)fwide(said->out.file, -1);
}

static enum lf_outcome judge(struct lf_process *process, const struct lf_said *said,
                             struct lf_slot *slot)
{
	if (!slot || !said->may_leave_out || lf_message_passes(process, slot) ||
	    !is_replaceable(said))
		return LF_PASSED;
	if (lf_lines_has_begun(process, stream_of(said))) {
		lf_message_went_on(process, slot);
		return LF_PASSED;
	}
	return lf_message_judge(process, slot, &said->out);
}

static void tell_due(struct lf_process *process, const struct lf_said *said)
{
	if (lf_fold_any_waits(process) && is_replaceable(said) &&
	    !lf_lines_has_begun(process, stream_of(said)))
		lf_fold_tell_due(process, &said->out);
}

/* What the format does besides printing: %n, and the checks of a fortified one. */
static void render_nowhere(const struct lf_said *said)
{
	struct lf_said_text text = { .data = NULL };

	if (said->render)
		said->render(said, &text);
}

static bool say_message(struct lf_process *process, const struct lf_said *said,
                        struct lf_slot *slot)
{
	enum lf_outcome outcome = judge(process, said, slot);

	lf_message_count(process, slot, outcome);
	if (outcome == LF_PASSED) {
		lf_lines_newline(process, stream_of(said));
		return false;
	}
	render_nowhere(said);
	orient(said);
	return true;
}

/* On the system log.  What is of more lines than one is several messages: it passes. */
static bool log_lines(struct lf_process *process, const struct lf_said *said,
                      struct lf_origin origin, struct lf_text text)
{
	enum lf_outcome outcome;
	struct lf_scratch *scratch;
	struct lf_slot *slot;

	if (text.len && text.data[text.len - 1] == '\n')
		text.len--;
	if (memchr(text.data, '\n', text.len)) {
		lf_lines_count(process, stream_of(said), origin, text, true);
		return false;
	}
	scratch = lf_scratch_take(process);
	slot = lf_message_line(process, origin, text, scratch);
	lf_scratch_give(process, scratch);
	outcome = judge(process, said, slot);
	lf_message_count(process, slot, outcome);
	return outcome != LF_PASSED;
}

/* `whole`: it is all that the call prints. */
static bool say_lines(struct lf_process *process, const struct lf_said *said,
                      struct lf_text text, bool whole)
{
	struct lf_origin origin = lf_message_origin(process, said->ret, said->method);

	if (!said->out.file)
		return log_lines(process, said, origin, text);
	if (whole && said->may_leave_out && lf_message_any_rules(process) &&
	    is_replaceable(said)) {
		(void)lf_lines_print_judged(process, origin, text, &said->out);
		orient(said);
		return true;
	}
	lf_lines_count(process, stream_of(said), origin, text, false);
	return false;
}

static bool say_carried(struct lf_process *process, const struct lf_said *said)
{
	struct lf_said_text text = { .data = NULL };
	struct lf_stub_text room;
	int before = errno;
	bool left_out;

	said->render(said, &text);
	lf_stub_text_take(&room, text.len + 1);
	if (!room.data) {
		lf_message_count(process, NULL, LF_PASSED);
		return false;
	}
	text = (struct lf_said_text){ .data = room.data, .size = text.len + 1 };
	errno = before; /* %m */
	said->render(said, &text);
	/* The host may have changed meanwhile what it prints. */
	if (text.len >= text.size)
		text.len = text.size - 1;
	left_out = say_lines(process, said, (struct lf_text){ room.data, text.len }, !text.failed);
	lf_stub_text_give(&room);
	return left_out;
}

static bool say(struct lf_process *process, struct lf_said *said)
{
	uint64_t target;

	if (!said->text)
		said->text = no_text;
	said->ret = lf_caller_unskipped(process, said->ret);
	if (said->out.file)
		lf_inline_putc_catch_up(process, said->out.file, said->ret);
	tell_due(process, said);
	target = lf_site_find(&process->cache, said->ret, lf_site_text(said->text, said->method),
	                      0);
	if (target == LF_TARGET_NONE)
		target = first_sight(process, said);
	if (target == LF_TARGET_CARRIER)
		return say_carried(process, said);
	return say_message(process, said, lf_target_slot(target));
}

bool lf_said(struct lf_said *said)
{
	int before = errno;
	bool left_out;

	said->process = said->out.file ? lf_process_of_console(said->out.fd) : lf_process_enter();
	if (!said->process)
		return false;
	left_out = say(said->process, said);
	if (left_out)
		lf_said_end(said);
	errno = before;
	return left_out;
}

void lf_said_end(const struct lf_said *said)
{
	if (said->process && said->out.file)
		lf_inline_putc_mark(said->process, said->out.file, said->ret);
}

#include "agent/hook/lines.h"

#include <errno.h>

static struct lf_stream *known_stream(struct lf_process *process, uintptr_t key)
{
	for (unsigned i = 0; i < LF_TAILS; i++) {
		struct lf_stream *stream = &process->streams[i];

		if (atomic_load_explicit(&stream->key, memory_order_acquire) == key)
			return stream;
	}
	return NULL;
}

struct lf_stream *lf_stream_find(struct lf_process *process, uintptr_t key, bool claim)
{
	struct lf_stream *stream = known_stream(process, key);

	for (unsigned i = 0; !stream && claim && i < LF_TAILS; i++) {
		uintptr_t none = 0;

		if (atomic_compare_exchange_strong_explicit(&process->streams[i].key, &none, key,
		                                            memory_order_acq_rel,
		                                            memory_order_acquire))
			stream = &process->streams[i];
	}
	return stream;
}

static struct lf_tail *tail_of(struct lf_process *process, uintptr_t key, bool make)
{
	struct lf_stream *stream = lf_stream_find(process, key, make);

	if (!stream)
		return NULL;
	return lf_map_tail(process->map, (unsigned)(stream - process->streams), make);
}

/* The tail, marked busy, and its state without that mark in *state; NULL when it was never used or
 * somebody else is at it. */
static struct lf_tail *take_tail(struct lf_process *process, uintptr_t key, bool make,
                                 uint32_t *state)
{
	struct lf_tail *tail = tail_of(process, key, make);

	if (!tail)
		return NULL;
	*state = atomic_load_explicit(&tail->state, memory_order_relaxed);
	do
		if (*state & LF_TAIL_BUSY)
			return NULL;
	/* Acquire pairs with the release in give_tail(). */
	while (!atomic_compare_exchange_weak_explicit(&tail->state, state, *state | LF_TAIL_BUSY,
	                                              memory_order_acquire, memory_order_relaxed));
	return tail;
}

static void give_tail(struct lf_process *process, struct lf_tail *tail, uint32_t had,
                      uint32_t state)
{
	if ((had ^ state) & LF_TAIL_BEGUN) {
		if (state & LF_TAIL_BEGUN)
			atomic_fetch_add_explicit(&process->attention, 1, memory_order_relaxed);
		else
			atomic_fetch_sub_explicit(&process->attention, 1, memory_order_relaxed);
	}
	/* Release: who takes the tail, or reads its state, finds the bytes. */
	atomic_store_explicit(&tail->state, state, memory_order_release);
}

/* What does not fit any more is not needed to know the line. */
static uint32_t append(struct lf_tail *tail, uint32_t state, struct lf_text text)
{
	uint32_t have = state & LF_TAIL_LEN;
	size_t room = LF_TAIL_BYTES - have;
	size_t more = text.len < room ? text.len : room;

	memcpy(tail->bytes + have, text.data, more);
	return state + (uint32_t)more;
}

/* The open line is complete.  It leaves the tail before it is counted: killed in between, the call
 * in flight is the one that may be missing, and no line is counted twice. */
static void finish(struct lf_process *process, struct lf_tail *tail, uint32_t had,
                   uint32_t state)
{
	struct lf_origin origin = { tail->method, tail->frame, NULL };
	struct lf_text line = { tail->bytes, state & LF_TAIL_LEN };
	enum lf_outcome outcome = (enum lf_outcome)lf_tail_outcome(state);
	struct lf_scratch *scratch;
	struct lf_slot *slot;

	if (state & LF_TAIL_COUNTED) {
		give_tail(process, tail, had, 0);
		return;
	}
	scratch = lf_scratch_take(process);
	slot = lf_message_line(process, origin, line, scratch);
	lf_scratch_give(process, scratch);
	give_tail(process, tail, had, 0);
	if (outcome == LF_PASSED)
		lf_message_went_on(process, slot);
	lf_message_count(process, slot, outcome);
}

/* False when there is no tail to be had. */
static bool open_line(struct lf_process *process, uintptr_t key, struct lf_origin origin,
                      struct lf_text text, uint32_t flags)
{
	uint32_t had, state;
	struct lf_tail *tail = take_tail(process, key, true, &had);

	if (!tail)
		return false;
	state = had;
	if (!(state & LF_TAIL_BEGUN)) {
		tail->method = origin.method;
		tail->frame = origin.frame;
		state = LF_TAIL_BEGUN | flags;
	}
	give_tail(process, tail, had, append(tail, state, text));
	return true;
}

static struct lf_text skip(struct lf_text text, size_t n)
{
	return (struct lf_text){ text.data + n, text.len - n };
}

/* Gives the open line what belongs to it and takes that off the text. */
static void continue_line(struct lf_process *process, uintptr_t key, struct lf_text *text,
                          bool *newline)
{
	uint32_t had, state;
	struct lf_tail *tail = take_tail(process, key, false, &had);
	const char *end;
	struct lf_text part;

	if (!tail)
		return;
	if (!(had & LF_TAIL_BEGUN)) {
		give_tail(process, tail, had, had);
		return;
	}
	end = memchr(text->data, '\n', text->len);
	part = (struct lf_text){ text->data, end ? (size_t)(end - text->data) : text->len };
	if ((had & (LF_TAIL_OUTCOME | LF_TAIL_COUNTED)) && part.len > 0) {
		/* What was left out, or counted as a call, ended there; this is a line of its own. */
		finish(process, tail, had, had);
		return;
	}
	state = append(tail, had, part);
	*text = skip(*text, part.len + (end != NULL));
	if (end || *newline) {
		*newline = end ? *newline : false;
		finish(process, tail, had, state);
		return;
	}
	give_tail(process, tail, had, state);
}

static const char *line_end(struct lf_text text)
{
	return text.len ? memchr(text.data, '\n', text.len) : NULL;
}

/* The lines that end in the text, the first one at `end`, and the rest as one more where a newline follows
 * it.  Returns what is left. */
static struct lf_text count_whole_lines(struct lf_process *process, struct lf_origin origin,
                                        struct lf_text text, const char *end, bool newline)
{
	struct lf_scratch *scratch = lf_scratch_take(process);

	for (; end; end = line_end(text)) {
		struct lf_text line = { text.data, (size_t)(end - text.data) };

		lf_message_count(process, lf_message_line(process, origin, line, scratch),
		                 LF_PASSED);
		text = skip(text, line.len + 1);
	}
	if (newline) {
		lf_message_count(process, lf_message_line(process, origin, text, scratch), LF_PASSED);
		text.len = 0;
	}
	lf_scratch_give(process, scratch);
	return text;
}

void lf_lines_count(struct lf_process *process, uintptr_t stream, struct lf_origin origin,
                    struct lf_text text, bool newline)
{
	const char *end;

	if (process != lf_process_now())
		return;
	if (lf_lines_any_open(process))
		continue_line(process, stream, &text, &newline);
	end = line_end(text);
	if (end || newline)
		text = count_whole_lines(process, origin, text, end, newline);
	if (text.len)
		(void)open_line(process, stream, origin, text, 0);
}

/* Ends the stream's open line, if it has one and it is of that kind.  -EBUSY when somebody else is
 * at it, 0 when there is none, 1 when it was ended. */
static int end_line(struct lf_process *process, uintptr_t key, uint32_t kind)
{
	uint32_t had;
	struct lf_tail *tail = take_tail(process, key, false, &had);

	if (!tail)
		return tail_of(process, key, false) ? -EBUSY : 0;
	if (!(had & kind)) {
		give_tail(process, tail, had, had);
		return 0;
	}
	finish(process, tail, had, had);
	return 1;
}

void lf_lines_newline(struct lf_process *process, uintptr_t stream)
{
	if (process == lf_process_now() && lf_lines_any_open(process))
		(void)end_line(process, stream, LF_TAIL_BEGUN);
}

void lf_stream_end(struct lf_process *process, uintptr_t key)
{
	struct lf_stream *stream = lf_stream_find(process, key, false);

	if (!stream)
		return;
	/* Somebody prints to it still: the next line of that key goes on where this one is. */
	if (end_line(process, key, LF_TAIL_BEGUN) < 0)
		return;
	atomic_store_explicit(&stream->ret, NULL, memory_order_relaxed);
	atomic_store_explicit(&stream->seen, NULL, memory_order_relaxed);
	atomic_store_explicit(&stream->resume, NULL, memory_order_relaxed);
	atomic_store_explicit(&stream->key, 0, memory_order_release);
}

/* The tail's state after a call that was counted, or left out, and left its line open. */
static uint32_t left_open(uint32_t had, enum lf_outcome outcome)
{
	if (!(had & LF_TAIL_BEGUN))
		return LF_TAIL_BEGUN | LF_TAIL_COUNTED | lf_tail_with(outcome);
	if ((had & LF_TAIL_COUNTED) && outcome == LF_PASSED)
		return had & ~(uint32_t)LF_TAIL_OUTCOME;
	return had; /* a line of text that goes on */
}

void lf_lines_leave_open(struct lf_process *process, uintptr_t stream, enum lf_outcome outcome)
{
	struct lf_tail *tail;
	uint32_t had;

	if (process != lf_process_now())
		return;
	/* Something was printed behind a text that was left out: no newline follows that at once any
	 * more. */
	if (outcome == LF_PASSED && lf_lines_any_open(process))
		(void)end_line(process, stream, LF_TAIL_OUTCOME);
	tail = take_tail(process, stream, true, &had);
	if (tail)
		give_tail(process, tail, had, left_open(had, outcome));
}

bool lf_lines_has_begun(struct lf_process *process, uintptr_t stream)
{
	uint32_t had;
	struct lf_tail *tail;

	if (!lf_lines_any_open(process))
		return false;
	tail = take_tail(process, stream, false, &had);
	if (!tail)
		return false;
	give_tail(process, tail, had, had);
	return (had & LF_TAIL_BEGUN) && !(had & LF_TAIL_OUTCOME);
}

/* A line, or what there is of one, with its verdict. */
struct piece {
	struct lf_text line; /* without its newline */
	size_t bytes;        /* with it */
	struct lf_slot *slot;
	enum lf_outcome outcome;
};

static struct piece piece_of(struct lf_process *process, struct lf_origin origin,
                             struct lf_text text, struct lf_scratch *scratch)
{
	const char *end = memchr(text.data, '\n', text.len);
	struct piece piece = { .outcome = LF_PASSED };

	piece.line = (struct lf_text){ text.data, end ? (size_t)(end - text.data) : text.len };
	piece.bytes = piece.line.len + (end != NULL);
	piece.slot = end ? lf_message_line(process, origin, piece.line, scratch)
	                 : lf_message_beginning(process, origin, piece.line, scratch);
	return piece;
}

static void leave_out(struct lf_process *process, uintptr_t stream, struct lf_origin origin,
                      const struct piece *piece)
{
	/* Unfinished, it waits for its newline where it can; what is left out is always counted. */
	if (piece->bytes > piece->line.len ||
	    !open_line(process, stream, origin, piece->line, lf_tail_with(piece->outcome)))
		lf_message_count(process, piece->slot, piece->outcome);
}

/* How many bytes at the start of the text go out without a question: the rest of a line that has begun
 * to be printed, and whole lines whose messages have no rule.  *next is the one behind them. */
static size_t plain_bytes(struct lf_process *process, struct lf_origin origin,
                          struct lf_text text, bool open, struct piece *next)
{
	/* Not held while the host's own call runs. */
	struct lf_scratch *scratch = lf_scratch_take(process);
	size_t plain = 0;

	*next = (struct piece){ .bytes = 0 };
	if (open) {
		const char *end = memchr(text.data, '\n', text.len);

		plain = end ? (size_t)(end - text.data) + 1 : text.len;
	}
	for (; plain < text.len; plain += next->bytes) {
		*next = piece_of(process, origin, skip(text, plain), scratch);
		if (next->slot && !lf_message_passes(process, next->slot))
			break;
	}
	lf_scratch_give(process, scratch);
	return plain;
}

/* Prints and counts; false when less than all was taken, and then *done says how much there was. */
static bool print_part(struct lf_process *process, struct lf_origin origin, struct lf_text part,
                       const struct lf_console_out *out, ssize_t *done)
{
	ssize_t taken = part.len ? out->write(out, part.data, part.len) : 0;

	if (taken < 0) {
		*done = *done ? *done : -1;
		return false;
	}
	lf_lines_count(process, lf_stream_of(out), origin,
	               (struct lf_text){ part.data, (size_t)taken }, false);
	*done += taken;
	return (size_t)taken == part.len;
}

/* Lines are judged one by one, each once, when all that stands before them is out. */
static ssize_t print_judged(struct lf_process *process, struct lf_origin origin,
                            struct lf_text text, const struct lf_console_out *out)
{
	bool open = lf_lines_has_begun(process, lf_stream_of(out));
	ssize_t done = 0;

	while ((size_t)done < text.len) {
		struct lf_text rest = skip(text, (size_t)done);
		struct piece next;
		size_t plain = plain_bytes(process, origin, rest, open, &next);

		open = false;
		if (!print_part(process, origin, (struct lf_text){ rest.data, plain }, out, &done))
			break;
		if (plain == rest.len)
			break;
		next.outcome = lf_message_judge(process, next.slot, out);
		if (next.outcome != LF_PASSED) {
			leave_out(process, lf_stream_of(out), origin, &next);
			done += (ssize_t)next.bytes;
		} else if (!print_part(process, origin, (struct lf_text){ rest.data + plain, next.bytes },
		                       out, &done)) {
			break;
		}
	}
	return done;
}

ssize_t lf_lines_print_judged(struct lf_process *process, struct lf_origin origin,
                              struct lf_text text, const struct lf_console_out *out)
{
	size_t swallowed = 0;
	ssize_t done;

	if (text.len && lf_lines_any_open(process) &&
	    end_line(process, lf_stream_of(out), LF_TAIL_OUTCOME) > 0)
		swallowed = text.data[0] == '\n';
	done = print_judged(process, origin, skip(text, swallowed), out);
	if (done < 0)
		return swallowed ? (ssize_t)swallowed : -1;
	return done + (ssize_t)swallowed;
}

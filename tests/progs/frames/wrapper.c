/* A library whose wrapper has a frame of ROOM bytes: built twice, it has the same addresses, and
 * another way up the stack.  CALLER is the function that is called. */
#include <stdarg.h>
#include <stdio.h>

static volatile int behind;

__attribute__((noinline, noclone)) static void say(const char *format, ...)
{
	volatile char room[ROOM];
	va_list args;

	va_start(args, format);
	room[0] = 1;
	room[ROOM - 1] = 1;
	vprintf(format, args);
	va_end(args);
	behind += room[0] + room[ROOM - 1];
}

void CALLER(void)
{
	say("message %d\n", behind);
	behind++;
}

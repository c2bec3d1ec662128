/* wrappers WHAT…: prints by way of functions that wrap libc's, each line saying who says it.
 *
 *   two         two callers of one log_info()
 *   nested      the same through a function that hands on its va_list
 *   kinds       wrappers of vprintf, vdprintf and a fatal one, a child of fork
 *   thread      a va_list handed to another thread: no function there is variadic
 *   named       wrappers that are not variadic: say() and emit(), which calls say()
 *   plain       printf, puts, putchar, fwrite, write in a function of the name emit_all()
 *   close A B   two libraries, opened and closed one after the other, each with its own say()
 *   deep N      log_info() from N levels of recursion, and from none
 *   lies        functions whose unwind tables lie
 *   switch      log_info() on a stack of its own, and on the alternate stack of a signal
 *   shrink      a stack that is freed, and mapped smaller
 */
#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define ALONE __attribute__((noinline, noclone))

/* What is done behind a call keeps it from being a jump, and functions from being one. */
static volatile int behind;

ALONE static void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stdout, format, args);
	va_end(args);
}

ALONE static void first_caller(int i)
{
	log_info("message %d\n", i);
	behind++;
}

ALONE static void second_caller(int i)
{
	log_info("message %d\n", i);
	behind += 2;
}

static void two(void)
{
	for (int i = 0; i < 3; i++) {
		first_caller(i);
		second_caller(i);
		second_caller(i);
	}
}

ALONE static void hand_on(const char *format, va_list args)
{
	behind += vfprintf(stdout, format, args);
}

ALONE static void hand_on_from_room(const char *format, va_list args)
{
	char *room = alloca((size_t)behind % 64 + 100);

	memset(room, 1, 100);
	hand_on(format, args);
	behind += room[behind & 1];
}

ALONE static void log_debug(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	hand_on_from_room(format, args);
	va_end(args);
}

ALONE static void third_caller(int i)
{
	log_debug("message %d\n", i);
	behind++;
}

ALONE static void fourth_caller(int i)
{
	log_debug("message %d\n", i);
	behind += 4;
}

static void nested(void)
{
	for (int i = 0; i < 3; i++) {
		third_caller(i);
		fourth_caller(i);
	}
}

ALONE static void to_stdout(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fflush(stdout);
}

ALONE static void to_fd(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vdprintf(1, format, args);
	va_end(args);
	behind++;
}

__attribute__((noreturn)) ALONE static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vdprintf(1, format, args);
	_exit(0);
}

ALONE static void use_stdout(void)
{
	to_stdout("to stdout %d\n", 1);
	behind++;
}

ALONE static void use_fd(void)
{
	to_fd("to an fd %d\n", 1);
	behind++;
}

ALONE static void use_in_child(void)
{
	to_fd("in a child %d\n", 1);
	behind++;
}

ALONE static void use_die(void)
{
	die("fatal %d\n", 1);
}

static void kinds(void)
{
	use_stdout();
	use_fd();
	if (fork() == 0) {
		use_in_child();
		use_die();
	}
	wait(NULL);
}

struct handed {
	const char *format;
	va_list args;
};

ALONE static void *print_handed(void *handed)
{
	struct handed *one = handed;

	vfprintf(stdout, one->format, one->args);
	behind++;
	return NULL;
}

ALONE static void log_later(const char *format, ...)
{
	struct handed handed = { .format = format };
	pthread_t thread;

	va_start(handed.args, format);
	pthread_create(&thread, NULL, print_handed, &handed);
	pthread_join(thread, NULL);
	va_end(handed.args);
}

static void thread(void)
{
	log_later("message %d\n", 1);
}

ALONE static void say(const char *text)
{
	puts(text);
	behind++;
}

ALONE static void emit(const char *text)
{
	say(text);
	behind++;
}

ALONE static void fifth_caller(void)
{
	say("said");
	emit("emitted");
	log_info("logged %d\n", 1);
	behind++;
}

ALONE static void emit_all(void)
{
	printf("printf %d\n", 1);
	puts("a constant by puts");
	fwrite("a constant by fwrite\n", 1, 21, stdout);
	fprintf(stdout, "%s\n", "text by a format without words");
	fflush(stdout);
	behind += (int)write(1, "text by write\n", 14);
}

ALONE static void sixth_caller(void)
{
	emit_all();
	behind++;
}

static uintptr_t call_and_close(const char *path, const char *caller)
{
	void *library = dlopen(path, RTLD_NOW);
	void (*function)(void) = library ? (void (*)(void))dlsym(library, caller) : NULL;

	if (!function)
		exit(1);
	function();
	function();
	dlclose(library);
	return (uintptr_t)function;
}

ALONE static void descend(int levels)
{
	char room[512];

	memset(room, levels, sizeof(room));
	if (levels == 0)
		log_info("message %d\n", levels);
	else
		descend(levels - 1);
	behind += room[behind & 255];
}

#if defined(__x86_64__)
/* Hand-written code whose table is wrong: its caller is said to be a gigabyte away; where there is
 * another number, in a function that looks variadic; where no memory is; in the last page there could be. */
int lie_far(const char *format, va_list args);
int lie_near(const char *format, va_list args);
int lie_by_frame(const char *format, va_list args);
int lie_to_the_end(const char *format, va_list args);
__asm__(".text\n"
        ".type lie_far, @function\n"
        "lie_far: .cfi_startproc\n"
        "sub $8, %rsp\n.cfi_def_cfa_offset 1073741824\n"
        "call vprintf@PLT\nadd $8, %rsp\nret\n.cfi_endproc\n.size lie_far, . - lie_far\n"
        ".type lie_near, @function\n"
        "lie_near: .cfi_startproc\n"
        "test %al, %al\nje 1f\nmovaps %xmm0, -24(%rsp)\n1: push $4096\n"
        "call vprintf@PLT\nadd $8, %rsp\nret\n.cfi_endproc\n.size lie_near, . - lie_near\n"
        ".type lie_by_frame, @function\n"
        "lie_by_frame: .cfi_startproc\n"
        "push %rbp\n.cfi_def_cfa 6, 16\nmov $16, %ebp\n"
        "call vprintf@PLT\npop %rbp\nret\n.cfi_endproc\n.size lie_by_frame, . - lie_by_frame\n"
        ".type lie_to_the_end, @function\n"
        "lie_to_the_end: .cfi_startproc\n"
        "push %rbp\n.cfi_def_cfa 6, 16\nmov $-24, %rbp\n"
        "call vprintf@PLT\npop %rbp\nret\n.cfi_endproc\n.size lie_to_the_end, . - lie_to_the_end\n");

#define LIAR(name) \
	ALONE static void log_##name(const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		behind += name(format, args); \
		va_end(args); \
	}
LIAR(lie_far)
LIAR(lie_near)
LIAR(lie_by_frame)
LIAR(lie_to_the_end)

static void lies(void)
{
	for (int i = 0; i < 2; i++) {
		log_lie_far("far %d\n", 1);
		log_lie_near("near %d\n", 1);
		log_lie_by_frame("by frame %d\n", 1);
		log_lie_to_the_end("to the end %d\n", 1);
	}
}
#else
static void lies(void)
{
}
#endif

#if defined(__x86_64__)
ALONE static void print_empty_handed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	hand_on(format, args);
	va_end(args);
}

ALONE static void plain_caller(void)
{
	va_list none = { 0 };

	hand_on("message\n", none);
	behind++;
}

ALONE static void variadic_caller(void)
{
	print_empty_handed("message\n");
	behind++;
}

/* The compiler knows nothing of the other stack: by the table, the frame is where that ends, and beyond. */
__attribute__((optimize("omit-frame-pointer"))) ALONE static void call_on(char *top, void (*function)(void))
{
	char room[4096];

	memset(room, 1, sizeof(room));
	__asm__ volatile("mov %%rsp, %%rbx\nmov %0, %%rsp\ncall *%1\nmov %%rbx, %%rsp"
	                 : "+r"(top), "+r"(function)
	                 :
	                 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
	behind += room[behind & 255];
}

static void shrink(void)
{
	enum { BYTES = 65536 };
	char *stack = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		exit(1);
	for (int i = 0; i < 2; i++) {
		call_on(stack + BYTES + BYTES / 2, variadic_caller);
		call_on(stack + BYTES, plain_caller);
	}
	if (mprotect(stack + BYTES, BYTES, PROT_NONE) < 0)
		exit(1);
	call_on(stack + BYTES, plain_caller);
}
#else
static void shrink(void)
{
}
#endif

static ucontext_t here, there;

ALONE static void on_own_stack(void)
{
	log_info("on a stack of its own %d\n", 1);
	behind++;
}

ALONE static void on_signal(int number)
{
	(void)number;
	log_info("on the alternate stack %d\n", 1);
	behind++;
}

enum { STACK_BYTES = 32768 };

/* A stack with nothing readable behind it. */
static void *new_stack(void)
{
	char *stack = mmap(NULL, 2 * STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED || mprotect(stack, STACK_BYTES, PROT_READ | PROT_WRITE) < 0)
		exit(1);
	return stack;
}

static void switch_stacks(void)
{
	stack_t stack = { .ss_sp = new_stack(), .ss_size = STACK_BYTES };
	char *own = new_stack();
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	first_caller(0);
	for (int i = 0; i < 2; i++) {
		getcontext(&there);
		there.uc_stack.ss_sp = own;
		there.uc_stack.ss_size = STACK_BYTES;
		there.uc_link = &here;
		makecontext(&there, on_own_stack, 0);
		swapcontext(&here, &there);
		sigaltstack(&stack, NULL);
		sigaction(SIGUSR1, &action, NULL);
		raise(SIGUSR1);
		second_caller(0);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "two") == 0)
		two();
	else if (strcmp(what, "nested") == 0)
		nested();
	else if (strcmp(what, "kinds") == 0)
		kinds();
	else if (strcmp(what, "thread") == 0)
		thread();
	else if (strcmp(what, "named") == 0)
		fifth_caller();
	else if (strcmp(what, "plain") == 0)
		sixth_caller();
	else if (strcmp(what, "close") == 0 && argc == 4) {
		if (call_and_close(argv[2], "small_caller") != call_and_close(argv[3], "large_caller"))
			puts("not at one address");
	} else if (strcmp(what, "deep") == 0 && argc == 3) {
		for (int i = 0; i < 3; i++) {
			descend(atoi(argv[2]));
			descend(0);
		}
	} else if (strcmp(what, "lies") == 0)
		lies();
	else if (strcmp(what, "switch") == 0)
		switch_stacks();
	else if (strcmp(what, "shrink") == 0)
		shrink();
	else
		return 2;
	return 0;
}

/* Has addresses mean something else while it prints: reuse FOLDER CALLS
 *
 * FOLDER has libraries that are laid out alike: alpha.so and gamma.so, whose functions say_alpha() and
 * say_gamma() print what they are called, and nested.so, whose swap() loads, calls and unloads a library
 * by itself.  Each way of unloading calls either CALLS times.  Ends with status 3 where the second one
 * does not come to lie where the first one was, so that the test would show nothing.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void (*say)(int i, const char *format);
static const char *const passed_on = "passed on\n";

static const char *folder;
static int calls;

static void need(int ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "reuse: %s\n", what);
	_exit(3);
}

static const char *path_of(const char *name)
{
	static char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s.so", folder, name);
	return path;
}

/* libc's own pair, which libc and libraries of a scope of their own call: no look-up finds ours first. */
struct loader {
	void *(*open)(const char *, int);
	int (*close)(void *);
};

static struct loader loader_of_libc(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

	return (struct loader){ (void *(*)(const char *, int))dlsym(libc, "dlopen"),
		                (int (*)(void *))dlsym(libc, "dlclose") };
}

static void *load_and_say(const struct loader *loader, const char *name)
{
	char symbol[64];
	void *module = loader->open(path_of(name), RTLD_NOW), *at;

	(void)snprintf(symbol, sizeof(symbol), "say_%s", name);
	need(module != NULL, "cannot load");
	at = dlsym(module, symbol);
	need(at != NULL, "has no such function");
	for (int i = 0; i < calls; i++)
		((say)at)(i, passed_on);
	need(loader->close(module) == 0, "cannot unload");
	return at;
}

static void swap(const struct loader *loader)
{
	void *first = load_and_say(loader, "alpha");

	need(load_and_say(loader, "gamma") == first, "the second library lies elsewhere");
}

/* By a library that finds libc's functions before anybody else's. */
static void swap_nested(void)
{
	void *module = dlopen(path_of("nested"), RTLD_NOW | RTLD_DEEPBIND);
	int (*run)(const char *, int, const char *);

	need(module != NULL, "cannot load nested.so");
	run = (int (*)(const char *, int, const char *))dlsym(module, "swap");
	need(run && run(folder, calls, passed_on), "the second library lies elsewhere");
	need(dlclose(module) == 0, "cannot unload nested.so");
}

/* ---- Buffers ---- */

static __attribute__((noinline)) void print_buffer(const char *format)
{
	for (int i = 0; i < calls; i++)
		(void)printf(format, i);
}

static void rewrite(char *buffer)
{
	(void)strcpy(buffer, "first %d\n");
	print_buffer(buffer);
	(void)strcpy(buffer, "other %d\n");
	print_buffer(buffer);
}

static void rewrite_buffers(void)
{
	static char fixed[32];
	char automatic[32], *heap = malloc(32);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(heap && page != MAP_FAILED, "no memory");
	rewrite(fixed);
	rewrite(automatic);
	rewrite(heap);
	free(heap);
	for (int i = 0; i < 2; i++) {
		(void)mprotect(page, 4096, PROT_READ | PROT_WRITE);
		(void)strcpy(page, i ? "other %d\n" : "first %d\n");
		(void)mprotect(page, 4096, PROT_READ);
		print_buffer(page);
	}
	(void)munmap(page, 4096);
}

/* ---- Code made at run time ---- */

static void put(unsigned char **at, const void *bytes, size_t len)
{
	memcpy(*at, bytes, len);
	*at += len;
}

#if defined(__x86_64__)
/* printf(format), with another format of the same size in its place later. */
static void make_code(unsigned char *at, const char *format)
{
	int (*print)(const char *, ...) = printf;

	put(&at, "\x48\x83\xec\x08\x48\xbf", 6); /* sub $8, %rsp; movabs format, %rdi */
	put(&at, &format, 8);
	put(&at, "\x31\xc0\x48\xb9", 4); /* xor %eax, %eax; movabs printf, %rcx */
	put(&at, &print, 8);
	put(&at, "\xff\xd1\x48\x83\xc4\x08\xc3", 7); /* call *%rcx; add $8, %rsp; ret */
}
#elif defined(__aarch64__)
static void make_code(unsigned char *at, const char *format)
{
	unsigned char *begin = at;
	int (*print)(const char *, ...) = printf;
	static const unsigned code[] = {
		0xa9bf7bfd, /* stp x29, x30, [sp, -16]! */
		0x580000a0, /* ldr x0, format */
		0x580000c9, /* ldr x9, printf */
		0xd63f0120, /* blr x9 */
		0xa8c17bfd, /* ldp x29, x30, [sp], 16 */
		0xd65f03c0, /* ret */
	};

	put(&at, code, sizeof(code));
	put(&at, &format, 8);
	put(&at, &print, 8);
	__builtin___clear_cache((char *)begin, (char *)at);
}
#endif

static void run_code(void *page, const char *format)
{
	make_code(page, format);
	for (int i = 0; i < calls; i++)
		((void (*)(void))page)();
}

static void make_code_at_run_time(void)
{
	const int access = PROT_READ | PROT_WRITE | PROT_EXEC, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *page = mmap(NULL, 4096, access, flags, -1, 0);

	need(page != MAP_FAILED, "no memory for code");
	run_code(page, "code in one\n");
	run_code(page, "code in two\n");
	(void)munmap(page, 4096);
	need(mmap(page, 4096, access, flags | MAP_FIXED_NOREPLACE, -1, 0) == page, "no such page");
	run_code(page, "code in new\n");
	(void)munmap(page, 4096);
}

struct image {
	uintptr_t base;
	size_t bytes;
};

static int measure(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct image *image = arg;

	(void)size;
	if (info->dlpi_addr != image->base)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			image->bytes = info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
	return 1;
}

/* A library, then a copy of it that is no module, then another library, all at one address. */
static void run_a_copy(void)
{
	void *module = dlopen(path_of("alpha"), RTLD_NOW), *at = dlsym(module, "say_alpha"), *copy;
	struct link_map *map;
	struct image image = { 0 };

	need(dlinfo(module, RTLD_DI_LINKMAP, &map) == 0, "knows no address");
	image.base = map->l_addr;
	(void)dl_iterate_phdr(measure, &image);
	copy = malloc(image.bytes);
	need(copy != NULL, "no memory");
	for (size_t i = 0; i < image.bytes; i += 4096)
		memcpy((char *)copy + i, (char *)image.base + i, image.bytes - i < 4096 ? image.bytes - i : 4096);
	(void)dlclose(module);
	need(mmap((void *)image.base, image.bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
	          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)image.base,
	     "no memory where the library was");
	memcpy((void *)image.base, copy, image.bytes);
	for (int i = 0; i < calls; i++)
		((say)at)(i, passed_on);
	(void)munmap((void *)image.base, image.bytes);
	free(copy);
	need(load_and_say(&(struct loader){ dlopen, dlclose }, "gamma") == at, "the library lies elsewhere");
}

/* ---- Threads ---- */

static _Atomic int done;

static void *print_meanwhile(void *count)
{
	while (!atomic_load(&done)) {
		(void)printf("thread says %d\n", 1);
		(void)puts("thread is here");
		++*(long *)count;
	}
	return NULL;
}

static void swap_beside_threads(const struct loader *loader)
{
	enum { THREADS = 2, ROUNDS = 50 };
	pthread_t thread[THREADS];
	long counts[THREADS] = { 0 }, sum = 0;

	for (int i = 0; i < THREADS; i++)
		need(pthread_create(&thread[i], NULL, print_meanwhile, &counts[i]) == 0, "no thread");
	for (int i = 0; i < ROUNDS; i++)
		swap(loader);
	atomic_store(&done, 1);
	for (int i = 0; i < THREADS; i++) {
		(void)pthread_join(thread[i], NULL);
		sum += counts[i];
	}
	(void)fprintf(stderr, "%ld\n", sum);
}

int main(int argc, char **argv)
{
	const struct loader usual = { dlopen, dlclose };
	struct loader of_libc;

	if (argc != 3)
		return 64;
	folder = argv[1];
	calls = atoi(argv[2]);
	of_libc = loader_of_libc();
	swap(&usual);
	swap(&of_libc);
	swap_nested();
	rewrite_buffers();
	make_code_at_run_time();
	run_a_copy();
	swap_beside_threads(&usual);
	return 0;
}

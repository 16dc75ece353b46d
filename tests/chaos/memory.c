/* Preloaded into a daemon, lets some of its allocations fail, whoever asks for them: its own code
 * or a library. What is to happen stands in the file CHAOS_MEMORY, which is mapped, so that it can
 * be changed while the daemon runs; memory.py has the same layout.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct plan {
    uint32_t per_million; /* of allocations that fail; 0: none */
    uint32_t seed;
    _Atomic uint32_t asked, failed; /* since the plan was made */
};
static_assert(sizeof(struct plan) == 16, "as memory.py has it");

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct plan *plan;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CHAOS_MEMORY");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (plan == MAP_FAILED)
        abort();
    (void)close(fd);
}

/* splitmix64 (Vigna), in the public domain: the n-th number of a seed. */
static uint64_t draw(uint64_t seed, uint64_t n)
{
    uint64_t z = seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool fails(void)
{
    if (!plan || plan->per_million == 0 ||
        draw(plan->seed, plan->asked++) % 1000000 >= plan->per_million)
        return false;
    plan->failed++;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return size > 0 && fails() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *p = fails() ? NULL : __libc_memalign(alignment, size);

    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

/* Figures as text. */
#include "lib/base/figures.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/parse.h"

#define STATM_MAX_BYTES 256
#define US_PER_S 1000000

void figures_add_head(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void figures_add(struct strbuf *out, const struct figure *figures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        figures_add_head(out, figures[i].name, figures[i].type, figures[i].help);
        strbuf_addf(out, "%s %" PRIu64 "\n", figures[i].name, figures[i].value);
    }
}

/* "SIZE RESIDENT ..." in pages; proc_pid_statm(5). */
static int resident_bytes(uint64_t *ret_bytes)
{
    AUTO_FREE char *text = NULL;
    char *rest, *word;
    uint64_t pages;
    size_t n;
    int r = file_read("/proc/self/statm", STATM_MAX_BYTES, &text, &n);

    if (r < 0)
        return r;
    rest = text;
    (void)strsep(&rest, " ");
    word = strsep(&rest, " ");
    if (!word || parse_u64(word, UINT32_MAX, &pages) < 0)
        return -EINVAL;
    *ret_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
}

static int64_t cpu_us(void)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for oneself */
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_S +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

void figures_add_process(struct strbuf *out, const char *program)
{
    struct figure memory = {"process_resident_memory_bytes", "gauge", "Resident memory.", 0};
    int64_t cpu = cpu_us();

    figures_add_head(out, "quilt_build_info", "gauge", "Always 1; the version is a label.");
    strbuf_addf(out, "quilt_build_info{program=\"%s\",version=\"" QUILT_VERSION "\"} 1\n", program);
    /* A figure that is not known is not told. */
    if (resident_bytes(&memory.value) == 0)
        figures_add(out, &memory, 1);
    figures_add_head(out, "process_cpu_seconds_total", "counter", "User and system time.");
    strbuf_addf(out, "process_cpu_seconds_total %" PRId64 ".%06" PRId64 "\n", cpu / US_PER_S,
                cpu % US_PER_S);
}

/* Runs a fuzz target over the files of a corpus directory, so that what was once found stays found,
 * with any compiler and in every test run. */
#include <dirent.h>
#include <stdio.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1 << 20)

static int replay_file(const char *dir, const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
    AUTO_FREE char *bytes = NULL;
    size_t n;
    int r = file_read(path, INPUT_MAX, &bytes, &n);

    if (r < 0)
        return r;
    return LLVMFuzzerTestOneInput((const uint8_t *)bytes, n);
}

static int replay(const char *dir, size_t *ret_count)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;
    size_t count = 0;
    int r = 0;

    if (!stream)
        return err_sys(errno, "open %s", dir);
    while (r == 0 && (entry = readdir(stream)))
        if (entry->d_name[0] != '.') {
            r = replay_file(dir, entry->d_name);
            count++;
        }
    closedir(stream);
    *ret_count = count;
    return r;
}

int main(int argc, char **argv)
{
    size_t count = 0;

    for (int i = 1; i < argc; i++)
        if (replay(argv[i], &count) < 0 || count == 0) {
            (void)fprintf(stderr, "%s: %s\n", argv[i], count ? err_text() : "no input");
            return 1;
        }
    return argc > 1 ? 0 : 2;
}

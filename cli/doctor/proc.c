/* Reads small files. */
#include "cli/doctor/proc.h"

#include <string.h>

#include "cli/doctor/facts.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define TEXT_MAX ((size_t)1 << 20)
#define NUMBER_DIGITS_MAX 20

char *proc_text(const char *path)
{
    char *text;
    size_t n;

    return file_read(path, TEXT_MAX, &text, &n) < 0 ? NULL : text;
}

/* The number that the text begins with, after blanks. */
static int64_t number_at(const char *text)
{
    char digits[NUMBER_DIGITS_MAX + 1];
    uint64_t value;
    size_t n;

    text += strspn(text, " \t");
    n = strspn(text, "0123456789");
    if (n == 0 || n > NUMBER_DIGITS_MAX)
        return FACTS_UNKNOWN;
    memcpy(digits, text, n);
    digits[n] = '\0';
    return parse_u64(digits, INT64_MAX, &value) < 0 ? FACTS_UNKNOWN : (int64_t)value;
}

int64_t proc_number(const char *path)
{
    AUTO_FREE char *text = proc_text(path);

    return text ? number_at(text) : FACTS_UNKNOWN;
}

/* The next line that begins with "GROUP:", behind the colon. */
static const char *next_of_group(const char *text, const char *group)
{
    size_t n = strlen(group);

    while (text && *text) {
        if (strncmp(text, group, n) == 0 && text[n] == ':')
            return text + n + 1;
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return NULL;
}

static size_t word_length(const char *text)
{
    return strcspn(text, " \n");
}

int64_t proc_counter(const char *text, const char *group, const char *name)
{
    const char *heads = next_of_group(text, group);
    const char *values = heads ? next_of_group(heads, group) : NULL;

    while (values && *heads == ' ' && *values == ' ') {
        size_t head = word_length(++heads);

        values++;
        if (head == strlen(name) && strncmp(heads, name, head) == 0) {
            int64_t value = number_at(values);

            return value == FACTS_UNKNOWN ? 0 : value;
        }
        heads += head;
        values += word_length(values);
    }
    return 0;
}

bool proc_has_line(const char *text, const char *line)
{
    size_t n = strlen(line);

    while (text && *text) {
        if (strncmp(text, line, n) == 0 && (text[n] == '\n' || text[n] == '\0'))
            return true;
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return false;
}

/* sysctl(8) takes net/ipv4/ip_forward for net.ipv4.ip_forward; a '-' in front forgives failures. */
static bool is_key(const char *line, size_t n, const char *key)
{
    if (n > 0 && *line == '-') {
        line++;
        n--;
    }
    if (n != strlen(key))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((line[i] == '/' ? '.' : line[i]) != key[i])
            return false;
    return true;
}

int64_t proc_sysctl_line(const char *text, const char *key)
{
    int64_t value = FACTS_UNKNOWN;

    while (text && *text) {
        const char *line = text + strspn(text, " \t");
        size_t n = strcspn(line, " \t=\n");
        const char *rest = line + n + strspn(line + n, " \t");

        if (*rest == '=' && is_key(line, n, key))
            value = number_at(rest + 1);
        text = strchr(line, '\n');
        text = text ? text + 1 : NULL;
    }
    return value;
}

int64_t proc_limit(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    char word[24];
    uint64_t value;
    size_t n;

    if (!line)
        return FACTS_UNKNOWN;
    line += strlen(name);
    line += strspn(line, " ");
    n = strcspn(line, " \n");
    if (n >= sizeof word)
        return FACTS_UNKNOWN;
    memcpy(word, line, n);
    word[n] = '\0';
    return parse_u64(word, INT64_MAX, &value) == 0 ? (int64_t)value : FACTS_UNKNOWN;
}

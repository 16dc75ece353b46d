/* The access token to join with. */
#include "agent/join_token.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/file.h"

#define FILE_MAX 4096

/* Without the blanks around it. */
static char *trimmed(const char *text)
{
    size_t n;

    text += strspn(text, " \t\r\n");
    n = strcspn(text, " \t\r\n");
    return text[n + strspn(text + n, " \t\r\n")] == '\0' ? mem_printf("%.*s", (int)n, text)
                                                         : mem_strdup(text);
}

static int read_file(const char *file, char **ret_text)
{
    AUTO_SECRET char *bytes = NULL;
    size_t n;
    int r = file_read(file, FILE_MAX, &bytes, &n);

    if (r < 0)
        return err_wrap(r, "access token (--token-file)");
    *ret_text = trimmed(bytes);
    return 0;
}

bool join_token_is_given(const struct join_token *source)
{
    return source->text || source->file;
}

int join_token_read(const struct join_token *source, char **ret_text,
                    struct access_token *ret_token)
{
    AUTO_SECRET char *text = NULL;
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};
    int r = 0;

    if (source->text)
        text = mem_strdup(source->text);
    else
        r = read_file(source->file, &text);
    if (r < 0)
        return r;
    r = access_token_parse(text, &token);
    if (r < 0)
        return source->text ? r : err_wrap(r, "%s", source->file);
    if (ret_text)
        *ret_text = TAKE_PTR(text);
    if (ret_token)
        *ret_token = token;
    return 0;
}

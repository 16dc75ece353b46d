/* Any event stream: the events are the same whether it comes at once or byte by byte. */
#include <stdlib.h>
#include <string.h>

#include "lib/http/sse.h"
#include "tests/fuzz/fuzz.h"

#define DATA_MAX 4096

static bool note(const struct sse_event *event, void *data)
{
    struct strbuf *seen = data;

    if (event->data[event->data_len] != '\0' || strlen(event->id) > DATA_MAX)
        abort();
    strbuf_addf(seen, "%s\n%s\n%zu\n", event->type, event->id, event->data_len);
    strbuf_add(seen, event->data, event->data_len);
    return true;
}

static int parse(const char *bytes, size_t n, size_t step, struct strbuf *seen)
{
    struct sse_parser parser;
    int r = 0;

    strbuf_adds(seen, "");
    sse_parser_init(&parser, DATA_MAX);
    for (size_t i = 0; i < n && r == 0; i += step)
        r = sse_parser_feed(&parser, bytes + i, n - i < step ? n - i : step, note, seen);
    sse_parser_deinit(&parser);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_STRBUF struct strbuf whole = {0};
    AUTO_STRBUF struct strbuf single = {0};
    int r = parse((const char *)bytes, n, n + 1, &whole);

    if (parse((const char *)bytes, n, 1, &single) != r || whole.len != single.len ||
        memcmp(whole.data, single.data, whole.len) != 0)
        abort();
    return 0;
}

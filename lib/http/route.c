/* The path matcher behind the route table. */
#include "lib/http/route.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/hex.h"
#include "lib/base/mem.h"

#define METHODS_MAX 8

struct route_resource {
    struct route_slice segments[ROUTE_SEGMENTS_MAX]; /* of the pattern; ":name" included */
    size_t segment_count;
    uint32_t param_mask; /* the first segment's bit is the highest; set: ":name" */
    const char *methods[METHODS_MAX];
    int routes[METHODS_MAX];
    size_t method_count;
    char allow[ROUTE_ALLOW_SIZE];
};

struct route_table {
    struct route_resource *resources;
    size_t count;
};

static uint32_t segment_bit(size_t index)
{
    return UINT32_C(1) << (ROUTE_SEGMENTS_MAX - 1 - index);
}

/* One byte of encoded text; the encoding was checked by is_well_encoded(). */
static char next_byte(const char **p)
{
    const char *s = *p;

    if (*s != '%') {
        *p = s + 1;
        return *s;
    }
    *p = s + 3;
    return (char)(hex_digit(s[1]) * 16 + hex_digit(s[2]));
}

/* Every '%' has two hex digits, none makes a NUL, and there are no blanks or control bytes. */
static bool is_well_encoded(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)bytes[i] <= ' ' || bytes[i] == 0x7f)
            return false;
        if (bytes[i] != '%')
            continue;
        if (n - i < 3 || hex_digit(bytes[i + 1]) < 0 || hex_digit(bytes[i + 2]) < 0 ||
            (bytes[i + 1] == '0' && bytes[i + 2] == '0'))
            return false;
        i += 2;
    }
    return true;
}

/* Splits "/a/b" into "a" and "b"; false when there are too many. */
static bool split(const char *path, size_t n, struct route_slice *segments, size_t *ret_count)
{
    const char *p = path + 1, *end = path + n;

    for (size_t count = 0; count < ROUTE_SEGMENTS_MAX; count++) {
        const char *slash = memchr(p, '/', (size_t)(end - p));

        segments[count].bytes = p;
        segments[count].len = (size_t)((slash ? slash : end) - p);
        if (!slash) {
            *ret_count = count + 1;
            return true;
        }
        p = slash + 1;
    }
    return false;
}

static bool is_param(const struct route_slice *segment)
{
    return segment->len > 0 && segment->bytes[0] == ':';
}

static bool slice_is(const struct route_slice *literal, const struct route_slice *asked)
{
    const char *p = asked->bytes, *end = asked->bytes + asked->len;
    size_t i = 0;

    while (p < end && i < literal->len)
        if (next_byte(&p) != literal->bytes[i++])
            return false;
    return p == end && i == literal->len;
}

static bool resource_matches(const struct route_resource *resource,
                             const struct route_slice *segments, size_t count)
{
    if (resource->segment_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (resource->param_mask & segment_bit(i) ? segments[i].len == 0
                                                  : !slice_is(&resource->segments[i], &segments[i]))
            return false;
    return true;
}

static void collect_params(const struct route_slice *segments, struct route_match *match)
{
    match->param_count = 0;
    for (size_t i = 0; i < match->resource->segment_count; i++)
        if (match->resource->param_mask & segment_bit(i))
            match->params[match->param_count++] = segments[i];
}

enum route_outcome route_match(const struct route_table *table, const char *target,
                               struct route_match *ret_match)
{
    struct route_slice segments[ROUTE_SEGMENTS_MAX];
    const struct route_resource *best = NULL;
    size_t n = strcspn(target, "?"), count;

    if (target[0] != '/' || !is_well_encoded(target, n))
        return ROUTE_MALFORMED;
    if (!split(target, n, segments, &count))
        return ROUTE_UNKNOWN;
    for (size_t i = 0; i < table->count; i++) {
        const struct route_resource *candidate = &table->resources[i];

        if ((!best || candidate->param_mask < best->param_mask) &&
            resource_matches(candidate, segments, count))
            best = candidate;
    }
    if (!best)
        return ROUTE_UNKNOWN;
    ret_match->resource = best;
    collect_params(segments, ret_match);
    return ROUTE_FOUND;
}

size_t route_decode(const struct route_slice *param, char *out)
{
    const char *p = param->bytes, *end = param->bytes + param->len;
    size_t n = 0;

    while (p < end)
        out[n++] = next_byte(&p);
    out[n++] = '\0';
    return n;
}

int route_of_method(const struct route_resource *resource, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < resource->method_count; i++)
        if (strcmp(resource->methods[i], method) == 0)
            return resource->routes[i];
    return -1;
}

const char *route_allow(const struct route_resource *resource)
{
    return resource->allow;
}

static bool is_same_shape(const struct route_resource *a, const struct route_resource *b)
{
    if (a->segment_count != b->segment_count || a->param_mask != b->param_mask)
        return false;
    for (size_t i = 0; i < a->segment_count; i++)
        if (!(a->param_mask & segment_bit(i)) && !slice_is(&a->segments[i], &b->segments[i]))
            return false;
    return true;
}

static int parse_pattern(const char *pattern, struct route_resource *ret)
{
    *ret = (struct route_resource){0};
    if (pattern[0] != '/' || !is_well_encoded(pattern, strlen(pattern)) || strpbrk(pattern, "%?") ||
        !split(pattern, strlen(pattern), ret->segments, &ret->segment_count))
        return err_fail(EINVAL, "route '%s': not a pattern such as /api/nodes/:id", pattern);
    for (size_t i = 0; i < ret->segment_count; i++)
        if (is_param(&ret->segments[i]))
            ret->param_mask |= segment_bit(i);
    return 0;
}

/* The resource with this route's shape; a new one at the end when there is none. */
static int find_resource(struct route_table *table, const char *pattern,
                         struct route_resource **ret_resource)
{
    struct route_resource shape;
    int r = parse_pattern(pattern, &shape);

    if (r < 0)
        return r;
    for (size_t i = 0; i < table->count; i++)
        if (is_same_shape(&table->resources[i], &shape)) {
            *ret_resource = &table->resources[i];
            return 0;
        }
    table->resources[table->count] = shape;
    *ret_resource = &table->resources[table->count++];
    return 0;
}

static void add_text(char *out, size_t size, const char *text)
{
    size_t used = strlen(out), n = strlen(text);

    if (n < size - used)
        memcpy(out + used, text, n + 1);
}

static int add_method(struct route_resource *resource, const struct http_route *route, int index)
{
    size_t i = resource->method_count;
    bool is_get = strcmp(route->method, "GET") == 0;

    if (i == METHODS_MAX || route_of_method(resource, route->method) >= 0)
        return err_fail(EINVAL, "route '%s': method %s is there twice", route->pattern,
                        route->method);
    resource->methods[i] = route->method;
    resource->routes[i] = index;
    resource->method_count++;
    add_text(resource->allow, sizeof resource->allow, route->method);
    add_text(resource->allow, sizeof resource->allow, is_get ? ", HEAD, " : ", ");
    return 0;
}

static int fill_table(struct route_table *table, const struct http_route *routes, size_t count)
{
    struct route_resource *resource = NULL;
    int r;

    for (size_t i = 0; i < count; i++) {
        r = find_resource(table, routes[i].pattern, &resource);
        if (r < 0)
            return r;
        r = add_method(resource, &routes[i], (int)i);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < table->count; i++)
        add_text(table->resources[i].allow, ROUTE_ALLOW_SIZE, "OPTIONS");
    return 0;
}

int route_table_new(const struct http_route *routes, size_t count, struct route_table **ret_table)
{
    struct route_table *table = NEW(struct route_table);
    int r;

    table->resources = mem_array(count + 1, sizeof *table->resources);
    r = fill_table(table, routes, count);
    if (r < 0) {
        route_table_free(table);
        return r;
    }
    *ret_table = table;
    return 0;
}

void route_table_free(struct route_table *table)
{
    if (!table)
        return;
    free(table->resources);
    free(table);
}

/* The helper headers, carried inside netc so that an installed netc needs no files of its own.
 *
 * #embed is C23; clang 19 takes it in C17 as well and lists the headers among the dependencies. */
#include "emit/emit.h"

#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char helpers_common[] = {
#embed "../targets/helpers_common.h"
    , '\0'};
static const char helpers_avx512[] = {
#embed "../targets/helpers_avx512.h"
    , '\0'};
static const char helpers_avx2[] = {
#embed "../targets/helpers_avx2.h"
    , '\0'};
static const char helpers_neon[] = {
#embed "../targets/helpers_neon.h"
    , '\0'};
static const char helpers_scalar[] = {
#embed "../targets/helpers_scalar.h"
    , '\0'};

static const struct {
    const char *name, *text;
} helpers[] = {
    {"helpers_avx512.h", helpers_avx512},
    {"helpers_avx2.h", helpers_avx2},
    {"helpers_neon.h", helpers_neon},
    {"helpers_scalar.h", helpers_scalar},
};

void emit_helpers(struct text *out, const struct target *target)
{
    text_put(out, "\n", 1);
    text_put(out, helpers_common, strlen(helpers_common));
    for (size_t i = 0; i < LENGTH(helpers); i++) {
        if (strcmp(target->helpers, helpers[i].name) == 0) {
            text_put(out, "\n", 1);
            text_put(out, helpers[i].text, strlen(helpers[i].text));
        }
    }
}

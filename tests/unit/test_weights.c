/* weights/: the synthetic fill against its published values; safetensors files, good, faulty and damaged at random. */
#include "graph_fixture.h"
#include "weights/weights.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- a place to work ---- */

static struct fixture f;
static char path[64];

static void set_up(void)
{
    f = fixture_new();
    snprintf(path, sizeof path, "/tmp/netc-test-weights-%ld", (long)getpid());
}

static void tear_down(void)
{
    unlink(path);
    fixture_free(&f);
}

TestSuite(synthetic, .init = set_up, .fini = tear_down);
TestSuite(safetensors, .init = set_up, .fini = tear_down);

/* A file of a header and n bytes of data behind it: 0, 1, 2, ... */
static void write_file(const char *header, size_t n)
{
    FILE *file = fopen(path, "wb");
    uint64_t length = strlen(header);
    for (int i = 0; i < 8; i++) {
        fputc((int)(length >> 8 * i & 255), file);
    }
    fputs(header, file);
    for (size_t i = 0; i < n; i++) {
        fputc((int)(i & 255), file);
    }
    fclose(file);
}

static void assert_refused(const char *check, const char *case_name)
{
    struct weights *w = weights_open(f.arena, f.diags, path);
    cr_assert_null(w, "%s: accepted", case_name);
    const char *text = fixture_report(&f);
    char bracket[64];
    snprintf(bracket, sizeof bracket, "[%s]\n", check);
    cr_assert(strstr(text, bracket), "%s: wanted [%s], got %s", case_name, check, text);
    cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "%s: not one line: %s", case_name, text);
}

static struct graph *graph_of(const char *const *name, const struct shape *shape, int n)
{
    struct graph *g = graph_new(f.arena, "test", "test.net");
    for (int i = 0; i < n; i++) {
        graph_param(g, intern(name[i]), shape[i], nowhere);
    }
    return g;
}

/* ---- the fill ---- */

Test(synthetic, gives_the_published_values)
{
    double v[3];
    synthetic_input("input", 3, v);
    cr_assert_eq(v[0], 2 * 0.7990331053733826 - 1);
    cr_assert_eq(v[1], 2 * 0.11162024736404419 - 1);
    cr_assert_eq(v[2], 2 * 0.06251806020736694 - 1);
}

Test(synthetic, follows_the_rule_of_each_kind_of_parameter)
{
    const double v0 = 0.9544188380241394; /* of "conv1.weight" */
    double out[4 * 3];
    synthetic_fill("conv1.weight", (struct shape){2, {4, 3}}, out);
    cr_assert_eq(out[0], (float)((2 * v0 - 1) * sqrt(3.0 / 3)));
    synthetic_fill("conv1.weight", (struct shape){1, {4}}, out);
    cr_assert_eq(out[0], (float)(0.5 + 0.5 * v0));
    struct weights *w = weights_open(f.arena, f.diags, "synthetic");
    const char *leaf[] = {"a.running_mean", "a.running_var", "a.bias", "a.weight"};
    const double low[] = {-0.1, 0.5, -0.1, 0.5}, high[] = {0.1, 1.5, 0.1, 1};
    for (int k = 0; k < 4; k++) {
        weights_get(w, leaf[k], (struct shape){1, {12}}, out);
        for (int i = 0; i < 12; i++) {
            cr_assert(out[i] >= low[k] && out[i] <= high[k] && out[i] == (float)out[i], "%s[%d] = %g", leaf[k], i,
                      out[i]);
        }
    }
    cr_assert(weights_check(w, f.diags, graph_of(leaf, (struct shape[4]){0}, 4)));
}

/* ---- good files ---- */

Test(safetensors, widens_f32_f16_bf16_exactly)
{
    static const unsigned char data[] = {
        0x00, 0x00, 0x80, 0x3f, 0x01, 0x00, 0x00, 0x80,                         /* f32 1, -1.4e-45 */
        0x00, 0x3c, 0x01, 0x00, 0xff, 0x7b, 0x00, 0xfc, 0x01, 0x7e, 0x00, 0x80, /* f16 1, 2^-24, 65504, -inf, nan, -0 */
        0x80, 0x3f, 0x49, 0xc0, /* bf16 1, -3.140625 */
    };
    write_file(
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],"
        "\"data_offsets\":[8,20]},\"__metadata__\":{\"format\":\"pt\"},"
        "\"c\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[20,24]}}   ",
        0);
    FILE *file = fopen(path, "ab");
    fwrite(data, 1, sizeof data, file);
    fclose(file);
    struct weights *w = weights_open(f.arena, f.diags, path);
    cr_assert(w, "%s", fixture_report(&f));
    const char *name[] = {"a", "b", "c"};
    struct shape shape[] = {{1, {2}}, {2, {2, 3}}, {1, {2}}};
    cr_assert(weights_check(w, f.diags, graph_of(name, shape, 3)), "%s", fixture_report(&f));
    double out[6];
    weights_get(w, "a", shape[0], out);
    cr_assert(out[0] == 1 && out[1] == -0x1p-149);
    weights_get(w, "b", shape[1], out);
    cr_assert(out[0] == 1 && out[1] == 0x1p-24 && out[2] == 65504 && out[3] == -(double)INFINITY && isnan(out[4]) &&
              out[5] == 0 && signbit(out[5]));
    weights_get(w, "c", shape[2], out);
    cr_assert(out[0] == 1 && out[1] == -3.140625);
    weights_get(w, "absent", shape[2], out);
    cr_assert(isnan(out[0]) && isnan(out[1]));
    weights_close(w);
}

Test(safetensors, the_digest_sees_values_and_names)
{
    write_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
               "\"data_offsets\":[8,16]}}",
               16);
    struct weights *w = weights_open(f.arena, f.diags, path);
    const char *a[] = {"a"}, *b[] = {"b"};
    struct shape shape = {1, {2}};
    uint64_t first = weights_digest(w, graph_of(a, &shape, 1));
    cr_assert_eq(first, weights_digest(w, graph_of(a, &shape, 1)));
    cr_assert_neq(first, weights_digest(w, graph_of(b, &shape, 1)));
    weights_close(w);
}

Test(safetensors, many_tensors_are_found_by_name)
{
    struct text header = {.arena = f.arena};
    text_put(&header, "{", 1);
    for (int i = 0; i < 3000; i++) {
        text_add(&header, "%s\"t.%d\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[%d,%d]}", i ? "," : "", i,
                 4 * i, 4 * i + 4);
    }
    text_put(&header, "}", 1);
    write_file(header.bytes, 12000);
    struct weights *w = weights_open(f.arena, f.diags, path);
    cr_assert(w, "%s", fixture_report(&f));
    for (int i = 0; i < 3000; i++) {
        double out;
        uint32_t bits = 0;
        float wanted;
        for (int k = 3; k >= 0; k--) {
            bits = bits << 8 | ((uint32_t)(4 * i + k) & 255);
        }
        memcpy(&wanted, &bits, 4);
        weights_get(w, arena_printf(f.arena, "t.%d", i), (struct shape){0}, &out);
        cr_assert(out == wanted || isnan(wanted), "t.%d", i);
    }
    weights_close(w);
}

/* ---- files that do not fit the graph ---- */

Test(safetensors, lists_what_is_missing_surplus_and_misshapen)
{
    write_file("{\"conv1.weigth\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
               "\"bn1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]},"
               "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[16,24]},"
               "\"fc.weight\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[24,32]}}",
               32);
    struct weights *w = weights_open(f.arena, f.diags, path);
    cr_assert(w, "%s", fixture_report(&f));
    const char *name[] = {"conv1.weight", "fc.bias", "fc.weight"};
    struct shape shape[] = {{1, {2}}, {1, {2}}, {1, {2}}};
    cr_assert_not(weights_check(w, f.diags, graph_of(name, shape, 3)));
    const char *text = fixture_report(&f);
    cr_assert_eq(diag_errors(f.diags), 4, "%s", text);
    cr_assert(strstr(text, "parameter conv1.weight is not in the file; it has conv1.weigth  [weights_missing]"), "%s",
              text);
    cr_assert(strstr(text, "[weights_surplus]") && strstr(text, "it needs conv1.weight"), "%s", text);
    cr_assert(strstr(text, "parameter fc.bias is [1,2] in the file, the network needs [2]  [weights_shape]"), "%s",
              text);
    cr_assert(strstr(text, "parameter fc.weight has dtype I32, not F32, F16, BF16 or F64  [weights_dtype]"), "%s",
              text);
    weights_close(w);
}

Test(safetensors, counts_what_it_does_not_list)
{
    write_file("{}", 0);
    struct weights *w = weights_open(f.arena, f.diags, path);
    const char *name[100];
    struct shape shape[100] = {0};
    for (int i = 0; i < 100; i++) {
        name[i] = arena_printf(f.arena, "layer%d.weight", i);
    }
    cr_assert_not(weights_check(w, f.diags, graph_of(name, shape, 100)));
    cr_assert_eq(diag_errors(f.diags), 16);
    cr_assert(strstr(fixture_report(&f), "and 85 more parameters are missing  [weights_missing]"));
    weights_close(w);
}

/* ---- faulty files ---- */

#define TENSOR(dtype, shape, offsets) "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *what, *header, *check;
} faults[] = {
    {"no json", "{\"a\":", "weights_json"},
    {"a list", "[]", "weights_json"},
    {"empty", "", "weights_json"},
    {"equal keys", "{\"a\":" TENSOR("\"F32\"", "[1]", "[0,4]") ",\"a\":" TENSOR("\"F32\"", "[1]", "[4,8]") "}",
     "weights_json"},
    {"equal keys within", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     "weights_json"},
    {"an integer too large for 64 bits", "{\"a\":" TENSOR("\"F32\"", "[1]", "[0,99999999999999999999]") "}",
     "weights_json"},
    {"an entry that is a number", "{\"a\":1}", "weights_entry"},
    {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "weights_entry"},
    {"dtype is a number", "{\"a\":" TENSOR("32", "[1]", "[0,4]") "}", "weights_entry"},
    {"something more", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", "weights_entry"},
    {"unknown dtype", "{\"a\":" TENSOR("\"F31\"", "[1]", "[0,4]") "}", "weights_dtype"},
    {"shape is a number", "{\"a\":" TENSOR("\"F32\"", "1", "[0,4]") "}", "weights_entry"},
    {"a negative dimension", "{\"a\":" TENSOR("\"F32\"", "[-1]", "[0,4]") "}", "weights_entry"},
    {"a dimension that is a real", "{\"a\":" TENSOR("\"F32\"", "[1.0]", "[0,4]") "}", "weights_entry"},
    {"a shape whose elements overflow", "{\"a\":" TENSOR("\"F32\"", "[4294967296,4294967296]", "[0,4]") "}",
     "weights_bytes"},
    {"a shape whose bytes overflow", "{\"a\":" TENSOR("\"F32\"", "[4611686018427387905]", "[0,4]") "}",
     "weights_bytes"},
    {"too many bytes", "{\"a\":" TENSOR("\"F32\"", "[1]", "[0,8]") "}", "weights_bytes"},
    {"three offsets", "{\"a\":" TENSOR("\"F32\"", "[1]", "[0,4,8]") "}", "weights_entry"},
    {"a negative offset", "{\"a\":" TENSOR("\"F32\"", "[1]", "[-4,0]") "}", "weights_entry"},
    {"offsets the wrong way", "{\"a\":" TENSOR("\"F32\"", "[1]", "[8,4]") "}", "weights_range"},
    {"beyond the file", "{\"a\":" TENSOR("\"F32\"", "[1]", "[14,18]") "}", "weights_range"},
    {"far beyond the file", "{\"a\":" TENSOR("\"F32\"", "[1]", "[9223372036854775803,9223372036854775807]") "}",
     "weights_range"},
    {"shared bytes", "{\"a\":" TENSOR("\"F32\"", "[2]", "[0,8]") ",\"b\":" TENSOR("\"F32\"", "[2]", "[4,12]") "}",
     "weights_overlap"},
    {"the same bytes", "{\"a\":" TENSOR("\"F32\"", "[2]", "[0,8]") ",\"b\":" TENSOR("\"F16\"", "[4]", "[0,8]") "}",
     "weights_overlap"},
    {"metadata is a number", "{\"__metadata__\":1}", "weights_entry"},
};

Test(safetensors, each_fault_is_one_line_and_a_named_check)
{
    for (size_t i = 0; i < LENGTH(faults); i++) {
        f.diags = diags_new(f.arena);
        write_file(faults[i].header, 16);
        assert_refused(faults[i].check, faults[i].what);
    }
}

static void write_bytes(const char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    fwrite(bytes, 1, n, file);
    fclose(file);
}

Test(safetensors, a_header_of_4_gb_is_one_line)
{
    write_bytes("\0\0\0\0\1\0\0\0{}", 10);
    assert_refused("weights_header", "4 GB");
    f.diags = diags_new(f.arena);
    write_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    assert_refused("weights_header", "2^64 - 1");
    f.diags = diags_new(f.arena);
    write_bytes("\0\0\0\1\0\0\0\0{}", 10);
    assert_refused("weights_header", "16 MB in a file of 10 bytes");
}

Test(safetensors, what_is_no_file_of_tensors_is_one_line)
{
    write_bytes("", 0);
    assert_refused("weights_header", "empty");
    f.diags = diags_new(f.arena);
    write_bytes("\2\0\0\0\0\0\0", 7);
    assert_refused("weights_header", "7 bytes");
    f.diags = diags_new(f.arena);
    write_bytes("PK\3\4 the beginning of a zip file", 30);
    assert_refused("zip_directory", "a zip file that is cut off");
    f.diags = diags_new(f.arena);
    write_bytes("\x80\2}q\0.", 6);
    assert_refused("weights_format", "a pickle of something else");
    f.diags = diags_new(f.arena);
    write_bytes("version https://git-lfs.github.com/spec/v1", 40);
    assert_refused("weights_format", "a pointer of Git LFS");
    f.diags = diags_new(f.arena);
    unlink(path);
    assert_refused("file_read", "absent");
    f.diags = diags_new(f.arena);
    snprintf(path, sizeof path, "/tmp");
    assert_refused("file_read", "a directory");
    snprintf(path, sizeof path, "/nowhere");
}

/* ---- damage at random: refused in one line, or read without touching a byte outside the file ---- */

static const char sound[] = "{\"a.weight\":" TENSOR("\"F32\"", "[2,2]", "[0,16]") ",\"a.bias\":" TENSOR(
    "\"F16\"", "[2]", "[16,20]") ",\"__metadata__\":{\"format\":\"pt\"}}";

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static void open_and_read(const char *what, int number)
{
    int before = diag_errors(f.diags);
    struct weights *w = weights_open(f.arena, f.diags, path);
    cr_assert_eq(!w, diag_errors(f.diags) == before + 1, "%s %d", what, number);
    if (w) {
        const char *name[] = {"a.weight", "a.bias"};
        struct shape shape[] = {{2, {2, 2}}, {1, {2}}};
        double out[4];
        weights_check(w, f.diags, graph_of(name, shape, 2));
        weights_get(w, name[0], shape[0], out);
        weights_get(w, name[1], shape[1], out);
        weights_close(w);
    }
}

Test(safetensors, every_truncation_is_refused)
{
    size_t whole = 8 + strlen(sound) + 20;
    for (size_t n = 0; n < whole; n++) {
        write_file(sound, 20);
        cr_assert_eq(truncate(path, (off_t)n), 0);
        int before = diag_errors(f.diags);
        cr_assert_null(weights_open(f.arena, f.diags, path), "%zu of %zu bytes", n, whole);
        cr_assert_eq(diag_errors(f.diags), before + 1, "%zu of %zu bytes", n, whole);
    }
}

Test(safetensors, damaged_files_are_refused_or_read)
{
    uint32_t state = 1;
    for (int i = 0; i < 500; i++) {
        write_file(sound, 20);
        FILE *file = fopen(path, "r+b");
        for (uint32_t n = next_random(&state) % 4 + 1; n > 0; n--) {
            fseek(file, (long)(next_random(&state) % (8 + strlen(sound))), SEEK_SET);
            uint32_t kind = next_random(&state) % 3;
            fputc(kind == 0 ? (int)(next_random(&state) & 255) : "0123456789-,[]{}\"eF"[next_random(&state) % 19],
                  file);
        }
        fclose(file);
        f.diags = diags_new(f.arena);
        open_and_read("damage", i);
    }
}

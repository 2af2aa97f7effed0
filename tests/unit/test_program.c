/* Small graphs of what networks do and of what is easily done wrong, through the whole middle on every target. The name of
 * a graph says what it is about. Those with `integers` keep small integers: their results are equal to the last bit.
 */
#include "program_case.h"

static void check(const char *const *text, size_t n, bool exact)
{
    struct arena *arena = arena_new("cases");
    for (size_t i = 0; i < n; i++) {
        for (int batch = 1; batch <= 2; batch++) {
            const char *why = try_targets(arena, text[i], batch, exact);
            cr_expect(!why, "%s\n%s", why, text[i]);
        }
    }
    arena_free(arena);
}

Test(program, sums)
{
    static const char *const integers[] = {
        "graph residual_in_place param @a.w f32[24,20,1,1] param @b.w f32[24,24,1,1] param @b.b f32[24] param @c.w f32[24,24,3,3]\n"
        "input %p f32[20,5,7] %x f32[24,5,7] = conv %p, @a.w {k 1x1} %t f32[24,5,7] = conv %x, @c.w {k 3x3 pad 1}\n"
        "%u f32[24,5,7] = conv %t, @b.w, @b.b {k 1x1} %s f32[24,5,7] = add %u, %x %y f32[24,5,7] = relu %s\n"
        "%v f32[24,5,7] = conv %y, @c.w {k 3x3 pad 1} %w f32[24,5,7] = add %y, %v output y = %w",

        "graph residual_read_later param @a.w f32[17,17,1,1] param @c.w f32[17,17,3,3]\n"
        "input %p f32[17,6,5] %x f32[17,6,5] = relu %p %u f32[17,6,5] = conv %x, @c.w {k 3x3 pad 1}\n"
        "%s f32[17,6,5] = add %u, %x %y f32[17,6,5] = relu %s %z f32[17,6,5] = conv %x, @a.w {k 1x1}\n"
        "%q f32[17,6,5] = sub %z, %y output y = %q output x = %x",

        "graph reads_what_it_adds param @a.w f32[16,16,1,1] param @c.w f32[16,16,3,3] param @d.w f32[16,1,3,3]\n"
        "input %p f32[16,4,4] %x f32[16,4,4] = relu %p %u f32[16,4,4] = conv %x, @a.w {k 1x1}\n"
        "%s f32[16,4,4] = add %u, %x %v f32[16,4,4] = conv %s, @c.w {k 3x3 pad 1} %t f32[16,4,4] = add %s, %v\n"
        "%w f32[16,4,4] = conv %t, @d.w {k 3x3 pad 1 groups 16} %y f32[16,4,4] = add %w, %t output y = %y",

        "graph to_itself param @a.w f32[20,3,3,3]\n"
        "input %p f32[3,5,5] %x f32[20,5,5] = conv %p, @a.w {k 3x3 pad 1} %s f32[20,5,5] = add %x, %x\n"
        "%t f32[20,5,5] = relu %s %u f32[20,5,5] = add %t, %t %y f32[20,5,5] = sub %u, %s output y = %y output s = %s",

        "graph chain_of_sums param @a.w f32[12,12,1,1]\n"
        "input %p f32[12,3,5] input %q f32[12,3,5] %a f32[12,3,5] = add %p, %q %b f32[12,3,5] = sub %a, %q\n"
        "%c f32[12,3,5] = add %b, %a %d f32[12,3,5] = conv %c, @a.w {k 1x1} %e f32[12,3,5] = add %d, %a\n"
        "%f f32[12,3,5] = add %e, %b %y f32[12,3,5] = relu %f output y = %y output b = %b",

        "graph bordered_sum param @a.w f32[16,16,3,3]\n"
        "input %p f32[16,5,6] %x f32[16,5,6] = relu %p %a f32[16,5,6] = conv %x, @a.w {k 3x3 pad 1}\n"
        "%b f32[16,5,6] = conv %a, @a.w {k 3x3 pad 1} %c f32[16,5,6] = add %b, %x %d f32[16,5,6] = conv %c, @a.w {k 3x3 pad 1}\n"
        "%e f32[16,5,6] = conv %d, @a.w {k 3x3 pad 1} %y f32[16,5,6] = add %c, %e output y = %y",

        "graph two_epilogues param @a.w f32[18,4,1,1] param @g.w f32[18,4,1,1]\n"
        "input %p f32[4,5,3] input %q f32[4,1,1] %g f32[18,1,1] = conv %q, @g.w {k 1x1} %x f32[18,5,3] = conv %p, @a.w {k 1x1}\n"
        "%r f32[18,5,3] = relu %x %b f32[18,5,3] = conv %p, @g.w {k 1x1} %s f32[18,5,3] = add %b, %r %t f32[18,5,3] = add %s, %g\n"
        "%n f32[1] = constant [3] %u f32[18,5,3] = mul %t, %n %v f32[18,5,3] = relu %u %y f32[18,5,3] = add %v, %v output y = %y",
    };
    check(integers, LENGTH(integers), true);
}

Test(program, gates)
{
    static const char *const numbers[] = {
        "graph squeeze param @a.w f32[24,24,3,3] param @f1.weight f32[6,24,1,1] param @f1.bias f32[6] param @f2.weight f32[24,6,1,1]\n"
        "param @f2.bias f32[24] input %p f32[24,5,5] %x f32[24,5,5] = relu %p %c f32[24,5,5] = conv %x, @a.w {k 3x3 pad 1}\n"
        "%m f32[24,1,1] = global_avg_pool %c %h f32[6,1,1] = conv %m, @f1.weight, @f1.bias {k 1x1} %hr f32[6,1,1] = relu %h\n"
        "%o f32[24,1,1] = conv %hr, @f2.weight, @f2.bias {k 1x1} %g f32[24,1,1] = sigmoid %o %s f32[24,5,5] = mul %c, %g\n"
        "%t f32[24,5,5] = add %s, %x %y f32[24,5,5] = relu %t output y = %y",

        "graph squeeze_by_linear param @a.w f32[21,3,3,3] param @f1.weight f32[5,21] param @f1.bias f32[5] param @f2.weight f32[21,5]\n"
        "input %p f32[3,4,6] %c f32[21,4,6] = conv %p, @a.w {k 3x3 pad 1} %m f32[21,1,1] = global_avg_pool %c\n"
        "%r f32[21] = reshape %m %h f32[5] = linear %r, @f1.weight, @f1.bias %hs f32[5] = silu %h %o f32[21] = linear %hs, @f2.weight\n"
        "%g f32[21] = sigmoid %o %q f32[21,1,1] = reshape %g %y f32[21,4,6] = mul %q, %c output y = %y output g = %g",

        "graph gate_of_another param @a.w f32[26,5,1,1] param @b.w f32[26,26,1,1]\n"
        "input %p f32[5,6,4] %c f32[26,6,4] = conv %p, @a.w {k 1x1} %m f32[26,1,1] = global_avg_pool %c %g f32[26,1,1] = sigmoid %m\n"
        "%d f32[26,6,4] = conv %c, @b.w {k 1x1} %e f32[26,6,4] = mul %d, %g %y f32[26,6,4] = silu %e output y = %y",
    };
    check(numbers, LENGTH(numbers), false);
}

#define RES2NET(w, all)                                                                                                   \
    "param @a.w f32[" all ",12,1,1] param @c0.w f32[" w "," w ",3,3] param @c1.w f32[" w "," w ",3,3] param @c2.w f32[" w \
    "," w ",3,3] param @d.w f32[20," all ",1,1]\n"                                                                        \
    "input %p f32[12,5,4] %a0 f32[" all ",5,4] = conv %p, @a.w {k 1x1} %a f32[" all ",5,4] = relu %a0\n"                  \
    "%s0 f32[" w ",5,4] = slice %a {axis 0 start 0 size " w "} %t0 f32[" w ",5,4] = conv %s0, @c0.w {k 3x3 pad 1} %r0 f32[" w \
    ",5,4] = relu %t0\n"

Test(program, splits)
{
    static const char *const integers[] = {
        "graph res2net_26 " RES2NET("26", "104")
        "%s1 f32[26,5,4] = slice %a {axis 0 start 26 size 26} %u1 f32[26,5,4] = add %s1, %r0 %t1 f32[26,5,4] = conv %u1, @c1.w {k 3x3 pad 1}\n"
        "%r1 f32[26,5,4] = relu %t1 %s2 f32[26,5,4] = slice %a {axis 0 start 52 size 26} %u2 f32[26,5,4] = add %r1, %s2\n"
        "%t2 f32[26,5,4] = conv %u2, @c2.w {k 3x3 pad 1} %r2 f32[26,5,4] = relu %t2 %s3 f32[26,5,4] = slice %a {axis 0 start 78 size 26}\n"
        "%k f32[104,5,4] = concat %r0, %r1, %r2, %s3 {axis 0} %y f32[20,5,4] = conv %k, @d.w {k 1x1} output y = %y",

        "graph res2net_stage " RES2NET("16", "48")
        "%s1 f32[16,5,4] = slice %a {axis 0 start 16 size 16} %t1 f32[16,3,2] = conv %s1, @c1.w {k 3x3 stride 2 pad 1}\n"
        "%r1 f32[16,3,2] = relu %t1 %s2 f32[16,5,4] = slice %a {axis 0 start 32 size 16} %q2 f32[16,3,2] = avg_pool %s2 {k 3x3 stride 2 pad 1 count_pad}\n"
        "%v f32[16,3,2] = max_pool %r0 {k 3x3 stride 2 pad 1} %k f32[48,3,2] = concat %v, %r1, %v {axis 0}\n"
        "%y f32[20,3,2] = conv %k, @d.w {k 1x1} output y = %y",

        "graph res2net_5 " RES2NET("5", "15")
        "%s1 f32[5,5,4] = slice %a {axis 0 start 5 size 5} %u1 f32[5,5,4] = add %s1, %r0 %t1 f32[5,5,4] = conv %u1, @c1.w {k 3x3 pad 1}\n"
        "%s2 f32[5,5,4] = slice %a {axis 0 start 10 size 5} %k f32[15,5,4] = concat %r0, %t1, %s2 {axis 0}\n"
        "%y f32[20,5,4] = conv %k, @d.w {k 1x1} output y = %y",

        "graph slice_of_slice param @a.w f32[96,4,1,1] param @b.w f32[16,16,3,3]\n"
        "input %p f32[4,3,5] %x f32[96,3,5] = conv %p, @a.w {k 1x1} %s f32[64,3,5] = slice %x {axis 0 start 16 size 64}\n"
        "%t f32[32,3,5] = slice %s {axis 0 start 32 size 32} %u f32[16,3,5] = slice %t {axis 0 start 16 size 16}\n"
        "%v f32[16,3,5] = conv %u, @b.w {k 3x3 pad 1} %w f32[16,3,5] = add %v, %u output y = %w output t = %t",

        "graph slices_of_two_widths param @a.w f32[52,4,1,1] param @b.w f32[3,13,1,1]\n"
        "input %p f32[4,3,3] %x f32[52,3,3] = conv %p, @a.w {k 1x1} %s f32[26,3,3] = slice %x {axis 0 start 26 size 26}\n"
        "%t f32[13,3,3] = slice %x {axis 0 start 13 size 13} %u f32[13,3,3] = slice %s {axis 0 start 13 size 13}\n"
        "%v f32[13,3,3] = add %t, %u %w f32[3,3,3] = conv %v, @b.w {k 1x1} output y = %w output s = %s",

        "graph in_place_in_a_slice param @a.w f32[32,4,1,1] param @b.w f32[16,16,1,1]\n"
        "input %p f32[4,4,3] %x f32[32,4,3] = conv %p, @a.w {k 1x1} %s f32[16,4,3] = slice %x {axis 0 start 0 size 16}\n"
        "%t f32[16,4,3] = slice %x {axis 0 start 16 size 16} %u f32[16,4,3] = conv %s, @b.w {k 1x1} %v f32[16,4,3] = add %u, %t\n"
        "%w f32[16,4,3] = sub %v, %s %y f32[16,4,3] = relu %w output y = %y",

        "graph added_where_it_lies param @a.w f32[32,4,1,1] param @b.w f32[32,32,1,1]\n"
        "input %p f32[4,4,3] %x f32[32,4,3] = conv %p, @a.w {k 1x1} %s f32[16,4,3] = slice %x {axis 0 start 0 size 16}\n"
        "%r f32[16,4,3] = relu %s %z f32[32,4,3] = conv %x, @b.w {k 1x1} %t f32[16,4,3] = slice %z {axis 0 start 16 size 16}\n"
        "%u f32[16,4,3] = add %r, %t %k f32[32,4,3] = concat %u, %r {axis 0} %y f32[32,4,3] = add %k, %z output y = %y",
    };
    check(integers, LENGTH(integers), true);
}

Test(program, concatenations)
{
    static const char *const integers[] = {
        "graph nested param @a.w f32[16,3,1,1] param @b.w f32[5,80,3,3]\n"
        "input %p f32[3,4,4] %a f32[16,4,4] = conv %p, @a.w {k 1x1} %b f32[16,4,4] = relu %a %c f32[32,4,4] = concat %a, %b {axis 0}\n"
        "%d f32[48,4,4] = concat %c, %b {axis 0} %e f32[80,4,4] = concat %c, %d {axis 0} %y f32[5,4,4] = conv %e, @b.w {k 3x3 pad 1}\n"
        "output y = %y output d = %d",

        "graph of_an_input param @a.w f32[20,16,1,1] input %p f32[16,3,4] input %q f32[16,3,4]\n"
        "%k f32[48,3,4] = concat %p, %q, %p {axis 0} %s f32[16,3,4] = slice %k {axis 0 start 32 size 16}\n"
        "%y f32[20,3,4] = conv %s, @a.w {k 1x1} output y = %y output k = %k",

        "graph twice_the_same param @a.w f32[26,3,3,3] param @b.w f32[4,78,1,1]\n"
        "input %p f32[3,5,3] %a f32[26,5,3] = conv %p, @a.w {k 3x3 pad 1} %k f32[78,5,3] = concat %a, %a, %a {axis 0}\n"
        "%y f32[4,5,3] = conv %k, @b.w {k 1x1} output y = %y output a = %a",

        "graph in_two_of_them param @a.w f32[16,3,3,3]\n"
        "input %p f32[3,5,3] %a f32[16,5,3] = conv %p, @a.w {k 3x3 pad 1} %b f32[16,5,3] = relu %a %k f32[32,5,3] = concat %a, %b {axis 0}\n"
        "%l f32[32,5,3] = concat %b, %a {axis 0} %y f32[32,5,3] = sub %k, %l output y = %y output l = %l",

        "graph odd_widths param @a.w f32[5,3,1,1] param @b.w f32[19,3,1,1] param @c.w f32[7,24,3,3]\n"
        "input %p f32[3,5,3] %a f32[5,5,3] = conv %p, @a.w {k 1x1} %b f32[19,5,3] = conv %p, @b.w {k 1x1}\n"
        "%k f32[24,5,3] = concat %a, %b {axis 0} %y f32[7,5,3] = conv %k, @c.w {k 3x3 pad 1} output y = %y",

        "graph one_member param @a.w f32[9,2,1,1]\n"
        "input %p f32[2,2,3] %a f32[9,2,3] = conv %p, @a.w {k 1x1} %k f32[9,2,3] = concat %a {axis 0} %l f32[9,2,3] = concat %k {axis 0}\n"
        "%y f32[9,2,3] = add %l, %a output y = %y",

        "graph single_cells param @a.w f32[16,3,1,1] param @f.weight f32[7,32]\n"
        "input %p f32[3,1,1] %a f32[16,1,1] = conv %p, @a.w {k 1x1} %b f32[16,1,1] = relu %a %k f32[32,1,1] = concat %b, %a {axis 0}\n"
        "%s f32[16,1,1] = slice %k {axis 0 start 16 size 16} %r f32[32] = reshape %k %t f32[16] = reshape %s %u f32[7] = linear %r, @f.weight\n"
        "output y = %u output t = %t",

        "graph member_is_plain param @a.w f32[16,3,1,1]\n"
        "input %p f32[3,1,1] %a f32[16,1,1] = conv %p, @a.w {k 1x1} %t f32[16,1,1] = permute %a {axes [0,2,1]}\n"
        "%k f32[48,1,1] = concat %t, %a, %t {axis 0} %y f32[48,1,1] = relu %k output y = %y output t = %t",

        "graph along_rows param @a.w f32[18,3,1,1]\n"
        "input %p f32[3,2,3] %a f32[18,2,3] = conv %p, @a.w {k 1x1} %b f32[18,2,3] = relu %a %k f32[18,4,3] = concat %a, %b {axis 1}\n"
        "%l f32[18,4,6] = concat %k, %k {axis 2} %s f32[18,4,2] = slice %l {axis 2 start 2 size 2} output y = %s",
    };
    check(integers, LENGTH(integers), true);
}

Test(program, results)
{
    static const char *const integers[] = {
        "graph nothing_to_do input %x f32[3,5,5] output y = %x",
        "graph input_and_more input %x f32[5,3,3] %r f32[5,3,3] = relu %x output x = %x output r = %r output again = %x",

        "graph all_along param @a.w f32[17,3,3,3] param @b.w f32[17,17,1,1]\n"
        "input %x f32[3,6,6] %a f32[17,6,6] = conv %x, @a.w {k 3x3 pad 1} %b f32[17,6,6] = relu %a %c f32[17,6,6] = conv %b, @b.w {k 1x1}\n"
        "%d f32[17,6,6] = add %c, %b %e f32[17,6,6] = relu %d %f f32[17,3,3] = max_pool %e {k 2x2 stride 2}\n"
        "output f = %f output e = %e output b = %b output a = %a",

        "graph views param @a.w f32[32,3,1,1] input %x f32[3,2,2] %a f32[32,2,2] = conv %x, @a.w {k 1x1}\n"
        "%s f32[16,2,2] = slice %a {axis 0 start 16 size 16} %r f32[128] = reshape %a output s = %s output r = %r",

        "graph inputs_of_all_kinds param @a.w f32[8,3,3,3] param @b.w f32[8,3,1,1]\n"
        "input %x f32[3,4,4] input %g f32[8,1,1] input %n f32[4] input %s f32[] %a f32[8,4,4] = conv %x, @a.w {k 3x3 pad 1}\n"
        "%b f32[8,4,4] = mul %a, %g %c f32[8,4,4] = add %b, %n %d f32[8,4,4] = sub %c, %s %e f32[8,4,4] = conv %x, @b.w {k 1x1}\n"
        "%f f32[8,4,4] = add %d, %e %p f32[3,4,4] = add %x, %x output y = %f output p = %p",

        "graph known_before input %x f32[2,2,2] %c f32[2,1,1] = constant [2, -3] %d f32[2,1,1] = relu %c %e f32[2,1,1] = add %d, %c\n"
        "%y f32[2,2,2] = mul %x, %e output y = %y output e = %e output c = %c",
    };
    check(integers, LENGTH(integers), true);
}

Test(program, pools)
{
    static const char *const integers[] = {
        "graph largest_of_negatives param @a.w f32[18,2,1,1] input %p f32[2,7,6] %x f32[18,7,6] = conv %p, @a.w {k 1x1}\n"
        "%r f32[18,7,6] = relu %x %z f32[18,7,6] = sub %x, %r %a f32[18,7,6] = max_pool %z {k 3x3 pad 1}\n"
        "%b f32[18,4,3] = max_pool %z {k 3x3 stride 2 pad 1} %c f32[18,4,3] = max_pool %z {k 2x2 stride 2 ceil}\n"
        "%d f32[18,3,2] = max_pool %z {k 3x3 stride 2} output a = %a output b = %b output c = %c output d = %d",

        "graph border_of_zeros param @a.w f32[18,2,1,1] param @b.w f32[4,18,3,3] input %p f32[2,7,5] %x f32[18,7,5] = conv %p, @a.w {k 1x1}\n"
        "%r f32[18,7,5] = relu %x %a f32[18,4,3] = max_pool %r {k 3x3 stride 2 pad 1} %b f32[18,7,5] = max_pool %r {k 5x5 pad 2}\n"
        "%c f32[4,7,5] = conv %r, @b.w {k 3x3 pad 1} %d f32[18,4,3] = max_pool %r {k 3x3 stride 2 pad 1 ceil} output a = %a output b = %b\n"
        "output c = %c output d = %d",

        "graph of_an_input input %x f32[5,9,8] %a f32[5,5,4] = max_pool %x {k 3x3 stride 2 pad 1} %b f32[5,3,3] = max_pool %x {k 3x2 stride 3 ceil}\n"
        "output a = %a output b = %b",
    };
    static const char *const numbers[] = {
        "graph averages param @a.w f32[18,2,1,1] input %p f32[2,7,6] %x f32[18,7,6] = conv %p, @a.w {k 1x1}\n"
        "%a f32[18,7,6] = avg_pool %x {k 3x3 pad 1} %b f32[18,7,6] = avg_pool %x {k 3x3 pad 1 count_pad} %c f32[18,4,3] = avg_pool %x {k 2x2 stride 2 ceil}\n"
        "%d f32[18,4,3] = avg_pool %x {k 2x2 stride 2 ceil count_pad} %e f32[18,4,4] = avg_pool %x {k 3x3 stride 2 pad 1 ceil count_pad}\n"
        "%f f32[18,1,1] = avg_pool %x {k 7x6} %g f32[18,1,1] = global_avg_pool %x output a = %a output b = %b output c = %c output d = %d\n"
        "output e = %e output f = %f output g = %g",

        "graph averages_of_segments param @a.w f32[20,5,3,3] param @b.w f32[20,5,1,1] input %p f32[20,4,4]\n"
        "%x f32[20,4,4] = conv %p, @a.w {k 3x3 pad 1 groups 4} %m f32[20,1,1] = global_avg_pool %x %q f32[20,2,2] = avg_pool %x {k 2x2 stride 2}\n"
        "%h f32[20,1,1] = conv %m, @b.w {k 1x1 groups 4} %y f32[20,2,2] = mul %q, %h output y = %y",
    };
    check(integers, LENGTH(integers), true);
    check(numbers, LENGTH(numbers), false);
}

/* Readers of one value that want it to lie differently. */
Test(program, layouts)
{
    static const char *const integers[] = {
        "graph pads param @a.w f32[17,3,3,3] param @b.w f32[4,17,1,1] param @c.w f32[4,17,3,3] param @d.w f32[4,17,7,7] param @e.w f32[4,17,3,3]\n"
        "input %p f32[3,7,6] %x f32[17,7,6] = conv %p, @a.w {k 3x3 pad 1} %b f32[4,7,6] = conv %x, @b.w {k 1x1} %c f32[4,7,6] = conv %x, @c.w {k 3x3 pad 1}\n"
        "%d f32[4,7,6] = conv %x, @d.w {k 7x7 pad 3} %e f32[4,7,6] = conv %x, @e.w {k 3x3 pad 2 dilation 2} %f f32[4,7,6] = add %b, %c\n"
        "%g f32[4,7,6] = sub %d, %e %y f32[4,7,6] = add %f, %g output y = %y",

        "graph groups_of_5_and_6 param @a.w f32[30,5,3,3] param @b.w f32[30,6,3,3] param @c.w f32[30,3,1,1] param @d.w f32[30,10,1,1]\n"
        "input %p f32[30,4,3] %a f32[30,4,3] = conv %p, @a.w {k 3x3 pad 1 groups 6} %b f32[30,4,3] = conv %a, @b.w {k 3x3 pad 1 groups 5}\n"
        "%s f32[30,4,3] = add %a, %b %c f32[30,4,3] = conv %s, @c.w {k 1x1 groups 10} %d f32[30,4,3] = conv %s, @d.w {k 1x1 groups 3}\n"
        "%t f32[30,4,3] = sub %c, %d %u f32[30,4,3] = add %t, %p output y = %u",

        "graph segments_and_none param @a.w f32[52,3,1,1] param @b.w f32[52,52,1,1] param @c.w f32[52,4,3,3]\n"
        "input %p f32[3,3,3] %a f32[52,3,3] = conv %p, @a.w {k 1x1} %s f32[26,3,3] = slice %a {axis 0 start 26 size 26} %r f32[26,3,3] = relu %s\n"
        "%k f32[52,3,3] = concat %r, %s {axis 0} %b f32[52,3,3] = conv %k, @b.w {k 1x1} %c f32[52,3,3] = conv %b, @c.w {k 3x3 pad 1 groups 13}\n"
        "%d f32[52,3,3] = add %c, %k %e f32[52,3,3] = relu %d output y = %e",

        "graph multipliers param @a.w f32[32,1,3,3] param @b.w f32[64,2,3,3] param @c.w f32[32,4,1,1] param @d.w f32[16,16,1,1] param @e.w f32[48,1,3,3]\n"
        "input %p f32[16,5,5] %a f32[32,5,5] = conv %p, @a.w {k 3x3 pad 1 groups 16} %b f32[64,5,5] = conv %a, @b.w {k 3x3 pad 1 groups 16}\n"
        "%c f32[32,5,5] = conv %b, @c.w {k 1x1 groups 16} %s f32[32,5,5] = add %c, %a %d f32[16,5,5] = conv %s, @d.w {k 1x1 groups 2}\n"
        "%e f32[48,3,3] = conv %d, @e.w {k 3x3 stride 2 pad 1 groups 16} output y = %e",

        "graph blocks_and_plain param @a.w f32[20,3,3,3] param @b.w f32[5,20,3,3] param @f.weight f32[6,400]\n"
        "input %p f32[3,4,5] %x f32[20,4,5] = conv %p, @a.w {k 3x3 pad 1} %b f32[5,4,5] = conv %x, @b.w {k 3x3 pad 1} %t f32[4,5,20] = permute %x {axes [1,2,0]}\n"
        "%r f32[400] = reshape %x %f f32[6] = linear %r, @f.weight %z f32[20,4] = sum %x {axis 2} output b = %b output t = %t output f = %f output z = %z",

        "graph pixels_and_blocks param @a.w f32[16,3,3,3] param @b.w f32[3,16,1,1] param @c.w f32[3,1,3,3] param @d.w f32[16,3,1,1]\n"
        "input %p f32[3,6,5] %x f32[16,6,5] = conv %p, @a.w {k 3x3 pad 1} %b f32[3,6,5] = conv %x, @b.w {k 1x1} %s f32[3,6,5] = add %b, %p\n"
        "%c f32[3,6,5] = conv %p, @c.w {k 3x3 pad 1 groups 3} %t f32[3,6,5] = sub %s, %c %d f32[16,6,5] = conv %t, @d.w {k 1x1}\n"
        "%e f32[16,6,5] = conv %p, @d.w {k 1x1} %y f32[16,6,5] = add %d, %e output y = %y",
    };
    check(integers, LENGTH(integers), true);
}

Test(program, other_ranks)
{
    static const char *const integers[] = {
        "graph permuted input %x f32[2,3,4,5] %a f32[5,3,2,4] = permute %x {axes [3,1,0,2]} %b f32[3,2,4] = sum %a {axis 0}\n"
        "%c f32[4,3,2] = permute %b {axes [2,0,1]} %d f32[24] = reshape %c %e f32[6,4] = reshape %d %f f32[4] = sum %e {axis 0} %g f32[] = sum %f {axis 0}\n"
        "output c = %c output f = %f output g = %g",

        "graph broadcast input %x f32[3,4,5] input %v f32[5] %a f32[4,1] = constant [1, -2, 3, 4] %b f32[3,1,1] = constant [2, 3, -1]\n"
        "%n f32[] = constant [4] %c f32[3,4,5] = add %x, %v %d f32[3,4,5] = mul %c, %a %e f32[3,4,5] = sub %b, %d %f f32[3,4,5] = add %n, %e\n"
        "%g f32[4,5] = add %a, %v %h f32[5] = add %v, %v %i f32[2,3,4,5] = constant [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,\n"
        "19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53,\n"
        "54, 55, 56, 57, 58, 59, 60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,\n"
        "31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60]\n"
        "%j f32[2,3,4,5] = mul %i, %f output f = %f output g = %g output h = %h output j = %j",

        "graph linears param @a.weight f32[33,7] param @a.bias f32[33] param @b.weight f32[5,33] param @c.weight f32[33,33] param @d.weight f32[1,5]\n"
        "input %x f32[7] %a f32[33] = linear %x, @a.weight, @a.bias %r f32[33] = relu %a %c f32[33] = linear %r, @c.weight %s f32[33] = add %c, %r\n"
        "%b f32[5] = linear %s, @b.weight %z f32[5] = sub %b, %b %t f32[5] = add %b, %z %d f32[1] = linear %t, @d.weight output s = %s output d = %d output t = %t",

        "graph padding_of_plain_values param @a.weight f32[20,6] param @b.weight f32[4,20]\n"
        "input %x f32[2,3] input %w f32[5,4] %p f32[3,2] = permute %x {axes [1,0]} %r f32[6] = reshape %p %a f32[20] = linear %r, @a.weight\n"
        "%v f32[4,5] = permute %w {axes [1,0]} %u f32[20] = reshape %v %s f32[20] = add %a, %u %t f32[20] = relu %s %b f32[4] = linear %t, @b.weight output y = %b",

        "graph plain_read_as_blocks param @a.w f32[6,6,1,1] input %x f32[2,3] %p f32[3,2] = permute %x {axes [1,0]} %r f32[6,1,1] = reshape %p\n"
        "%a f32[6,1,1] = conv %r, @a.w {k 1x1} %b f32[6,1,1] = add %a, %r %c f32[6,1,1] = relu %r %y f32[6,1,1] = sub %b, %c output y = %y",
    };
    static const char *const numbers[] = {
        "graph softmaxes input %x f32[3,4,5] %a f32[3,4,5] = softmax %x {axis 0} %b f32[3,4,5] = softmax %x {axis 1} %c f32[3,4,5] = softmax %x {axis 2}\n"
        "%d f32[3,4] = mean %x {axis 2} %e f32[3,4] = softmax %d {axis 1} %f f32[4] = mean %e {axis 0} %g f32[4] = softmax %f {axis 0}\n"
        "output a = %a output b = %b output c = %c output e = %e output g = %g",

        "graph norms param @a.weight f32[18] param @a.bias f32[18] param @a.running_mean f32[18] param @a.running_var f32[18] param @b.weight f32[7]\n"
        "param @b.bias f32[7] param @b.running_mean f32[7] param @b.running_var f32[7] param @c.weight f32[4] param @c.bias f32[4] param @c.running_mean f32[4]\n"
        "param @c.running_var f32[4] param @f.weight f32[7,18]\n"
        "input %x f32[18,3,4] input %z f32[4,3] %a f32[18,3,4] = batch_norm %x, @a.* {eps 1e-05} %r f32[18,3,4] = relu %a %s f32[18,3,4] = add %r, %x\n"
        "%m f32[18,1,1] = global_avg_pool %s %l f32[18] = reshape %m %f f32[7] = linear %l, @f.weight %b f32[7] = batch_norm %f, @b.* {eps 0.001}\n"
        "%g f32[7] = sigmoid %f %h f32[7] = mul %b, %g %c f32[4,3] = batch_norm %z, @c.* {eps 0.1} output s = %s output h = %h output c = %c",

        "graph divided input %x f32[5,3,3] %n f32[1] = constant [3] %c f32[5,1,1] = constant [1, -2, 3, 4, -7] %w f32[3] = constant [0.5, 2, -4]\n"
        "%a f32[5,3,3] = div %x, %n %b f32[5,3,3] = div %a, %c %d f32[5,3,3] = div %b, %w %e f32[5,3,3] = silu %d %f f32[5,3,3] = sigmoid %x\n"
        "%g f32[5,3,3] = mul %f, %e %h f32[5,3,3] = div %n, %f output g = %g output h = %h",
    };
    check(integers, LENGTH(integers), true);
    check(numbers, LENGTH(numbers), false);
}

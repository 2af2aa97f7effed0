/* The space of schedules: the model stays inside of it, all that is in it can be lowered, gives the same bits and reads the
 * same packed weights; what is outside is refused with a reason. And signatures: equal ones mean equal kernels. */
#include "front/front.h"
#include "graph_fixture.h"
#include "targets/target.h"
#include "tune/tune.h"
#include "weights/weights.h"

#include <criterion/criterion.h>
#include <glob.h>

struct case_ {
    struct fixture f;
    struct arena *scratch;
    const struct target *target;
    struct program *program;
};

static struct case_ compiled(const char *file, const char *target, enum winograd_mode winograd, const char *side)
{
    static const char *const directories[] = {"netdefs"};
    struct case_ c = {.f = fixture_new(), .scratch = arena_new("scratch"), .target = target_by_name(target)};
    struct definition define = {"side", side};
    struct front_options options = {
        .file = file, .import_dir = directories, .n_import_dir = 1, .batch = 1, .define = &define, .n_define = side != NULL};
    c.f.graph = elaborate_file(c.f.arena, c.f.arena, c.f.diags, &options);
    cr_assert(c.f.graph, "%s", fixture_report(&c.f));
    struct pass_context context = {
        .module = c.f.arena, .scratch = c.scratch, .diags = c.f.diags, .target = c.target, .batch = 1, .winograd = winograd};
    cr_assert(run_passes(c.f.graph, &context, NULL, NULL), "%s", fixture_report(&c.f));
    c.program = lower(c.f.graph, &context);
    return c;
}

static void end_case(struct case_ *c)
{
    arena_free(c->scratch);
    fixture_free(&c->f);
}

static const char *words(struct case_ *c, const struct node *n, const struct schedule *s)
{
    return arena_printf(c->f.arena, "%s %s on %s", n->name, schedule_words(c->f.arena, n, s), c->target->name);
}

/* ---- bits ---- */

static int64_t elements(const struct buffer *b)
{
    int64_t n = 1;
    for (int d = 0; d < b->rank; d++) {
        n *= b->dim[d];
    }
    return n;
}

struct place {
    struct argument arg;
    float *data;
    int64_t n;
};

static struct place *place_of(struct case_ *c, struct place *place, struct argument arg, const struct buffer *b)
{
    while (place->data && (place->arg.memory != arg.memory || place->arg.lead != arg.lead ||
                           arg.memory->kind == MEMORY_WEIGHTS)) {
        place++;
    }
    if (place->data) {
        return place;
    }
    *place = (struct place){arg, arena_alloc(c->f.arena, (size_t)elements(b) * sizeof(float) + 64), elements(b)};
    uint32_t state = 1 + (uint32_t)place->n;
    for (int64_t e = 0; e < place->n; e++) {
        state = state * 1664525u + 1013904223u;
        place->data[e] = (float)(state >> 8) / 8388608.0f - 1;
    }
    if (b->dir == DIR_OUT) {
        memset(place->data, 0xff, (size_t)place->n * sizeof(float));
    }
    return place;
}

/* What a layer's kernels write from numbers that are no integers, so that another order of a sum shows. */
static struct place written(struct case_ *c, const struct stage *s)
{
    struct place place[2 * MAX_BUFFERS] = {0}, result = {0};
    for (; s; s = s->next) {
        const struct kernel *k = s->call->kernel;
        float *data[MAX_BUFFERS];
        for (int i = 0; i < k->n_buffer; i++) {
            struct place *own = place_of(c, place, s->call->arg[i], k->buffer[i]);
            data[i] = own->data;
            if (k->buffer[i]->dir != DIR_IN) {
                result = *own;
            }
        }
        int64_t second = k->n_task > 1 ? k->task[1]->hi : 1, tasks = k->n_task ? k->task[0]->hi * second : 1;
        for (int64_t at = 0; at < tasks; at++) {
            int64_t task[MAX_TASKS] = {at / second, at % second};
            cr_assert(kernel_eval(c->f.diags, k, data, task), "%s", fixture_report(&c->f));
        }
    }
    return result;
}

static struct program empty_program(const struct case_ *c)
{
    struct program p = *c->program;
    p.kernel = NULL, p.pack = NULL;
    p.n_kernel = p.cap_kernel = p.n_pack = p.cap_pack = 0;
    p.weights_bytes = 0;
    return p;
}

static void check_candidate(struct case_ *c, struct node *n, const struct schedule *s, bool bits)
{
    struct program model = empty_program(c), other = empty_program(c);
    struct schedule own = n->schedule;
    const char *what = words(c, n, s), *fault = schedule_fault(c->f.arena, n, c->target, s);
    cr_assert(!fault, "%s: %s", what, fault);
    const struct stage *first = lower_node(&model, n, c->target);
    n->schedule = *s;
    const struct stage *second = lower_node(&other, n, c->target);
    n->schedule = own;
    for (const struct stage *stage = second; stage; stage = stage->next) {
        cr_assert(kernel_verify(c->f.diags, stage->call->kernel), "%s: %s", what, fixture_report(&c->f));
    }
    cr_assert_eq(model.n_pack, other.n_pack, "%s", what);
    for (size_t i = 0; i < model.n_pack; i++) {
        cr_assert_str_eq(packing_line(c->f.arena, &model.pack[i]), packing_line(c->f.arena, &other.pack[i]), "%s", what);
    }
    if (bits) {
        struct place a = written(c, first), b = written(c, second);
        cr_assert(a.n == b.n && memcmp(a.data, b.data, (size_t)a.n * sizeof *a.data) == 0, "%s: other bits", what);
    }
}

/* Numbers of all kinds: what has no fault is as good as a candidate. */
static void check_random(struct case_ *c, struct node *n, int tries)
{
    uint32_t state = (uint32_t)n->id + 1;
    for (int i = 0; i < tries; i++) {
        int number[9];
        for (size_t k = 0; k < LENGTH(number); k++) {
            state = state * 1664525u + 1013904223u;
            number[k] = (int)(state >> 16);
        }
        struct schedule s = {.rows = n->schedule.rows,
                             .cols = 1 + number[1] % 12,
                             .channels = c->target->lanes * (1 + number[2] % 6),
                             .band = 1 + number[3] % 6,
                             .chunk = number[4] % 9,
                             .depth = number[5] % 6 < 3 ? 0 : number[5] % 6 - 2,
                             .prefetch = number[6] % 3,
                             .stream = number[7] % 5 * (number[7] % 2),
                             .ahead = number[8] % 3};
        if (n->algorithm != ALGORITHM_direct) {
            s.stream = s.ahead = 0;
            s.prefetch = n->algorithm == ALGORITHM_winograd ? s.prefetch % 2 : 0;
            s.depth = n->algorithm == ALGORITHM_winograd ? s.depth : 0;
        }
        if (number[0] % 4 == 0 && n->algorithm != ALGORITHM_winograd) {
            s.rows = number[0] / 4 % 4;
        }
        if (!schedule_fault(NULL, n, c->target, &s)) {
            check_candidate(c, n, &s, i % 8 == 0);
        }
    }
}

/* Of some candidates of each layer, the near ones and some of all; of fewer the bits. Once without Winograd, then that alone. */
static void check_spaces(const char *target, enum winograd_mode winograd)
{
    enum { VERIFIED = 18 };
    struct case_ c = compiled("tests/unit/schedules.net", target, winograd, "6");
    size_t every = c.target->lanes == 1 ? 12 : 5;
    int seen[ALGORITHM_COUNT] = {0};
    for (size_t i = 0; i < c.f.graph->n_node; i++) {
        struct node *n = c.f.graph->node[i];
        if (!schedule_is_tuned(n->algorithm) || (winograd != WINOGRAD_OFF && n->algorithm != ALGORITHM_winograd)) {
            continue;
        }
        const char *fault = schedule_fault(c.f.arena, n, c.target, &n->schedule);
        cr_assert(!fault, "the model's %s: %s", words(&c, n, &n->schedule), fault);
        struct schedules list = schedule_candidates(c.f.arena, n, c.target, &n->schedule);
        cr_assert(list.n > 0 && schedule_equal(&list.at[0], &n->schedule), "%s", words(&c, n, &n->schedule));
        seen[n->algorithm] += list.n > 1;
        for (size_t k = 1; k < VERIFIED && k < list.n; k++) {
            size_t at = k < 4 ? k : 1 + (list.n - 1) * k / VERIFIED;
            check_candidate(&c, n, &list.at[at], k % every == 1);
        }
        check_random(&c, n, getenv("ALL") ? 2000 : 50);
    }
    cr_assert(winograd == WINOGRAD_OFF
                  ? seen[ALGORITHM_direct] && seen[ALGORITHM_spread] && seen[ALGORITHM_local]
                  : seen[ALGORITHM_winograd]);
    end_case(&c);
}

static void check_space(const char *target)
{
    check_spaces(target, WINOGRAD_OFF);
    check_spaces(target, WINOGRAD_ALWAYS);
}

Test(tune, space_avx512, .timeout = 300)
{
    check_space("x86-64-v4");
}

Test(tune, space_avx2, .timeout = 300)
{
    check_space("x86-64-v3");
}

Test(tune, space_neon, .timeout = 300)
{
    check_space("aarch64");
}

Test(tune, space_scalar, .timeout = 300)
{
    check_space("scalar");
}

/* ---- outside ---- */

Test(tune, what_is_outside_says_why)
{
    struct case_ c = compiled("tests/unit/schedules.net", "x86-64-v4", WINOGRAD_OFF, "8");
    static const struct {
        const char *layer, *says;
        struct schedule schedule;
    } outside[] = {
        {"wide.conv", "registers", {.rows = 1, .cols = 9, .channels = 64, .band = 8}},
        {"narrow.conv", "columns", {.rows = 1, .cols = 10, .channels = 16, .band = 8}},
        {"narrow.conv", "columns", {.rows = 1, .cols = 0, .channels = 16, .band = 8}},
        {"narrow.conv", "channels", {.rows = 1, .cols = 4, .channels = 64, .band = 8}},
        {"narrow.conv", "channels", {.rows = 1, .cols = 4, .channels = 17, .band = 8}},
        {"narrow.conv", "channels", {.rows = 1, .cols = 4, .channels = 0, .band = 8}},
        {"narrow.conv", "band", {.rows = 1, .cols = 4, .channels = 16, .band = 3}},
        {"narrow.conv", "band", {.rows = 1, .cols = 4, .channels = 16, .band = 0}},
        {"narrow.conv", "chunk", {.rows = 1, .cols = 4, .channels = 16, .band = 8, .chunk = 2}},
        {"wide.conv", "row", {.rows = 0, .cols = 4, .channels = 16, .band = 8}},
        {"g2.conv", "groups", {.rows = 1, .cols = 4, .channels = 16, .band = 8, .chunk = 3}},
        {"g8.conv", "groups of a block", {.rows = 1, .cols = 4, .channels = 16, .band = 8, .chunk = 1}},
        {"s8.conv", "tile", {.rows = 4, .cols = 4, .channels = 16, .band = 2, .chunk = 1}},
        {"s8.conv", "registers", {.rows = 4, .cols = 6, .channels = 16, .band = 4, .chunk = 1}},
        {"s16.conv", "order", {.rows = 2, .cols = 4, .channels = 16, .band = 4, .chunk = 1}},
        {"s8.conv", "blocks", {.rows = 1, .cols = 6, .channels = 16, .band = 4, .chunk = 3}},
        {"fc", "rows", {.rows = 1, .cols = 1, .channels = 16, .band = 1, .chunk = 1}},
        {"fc", "columns", {.rows = 0, .cols = 2, .channels = 16, .band = 1, .chunk = 1}},
    };
    for (size_t i = 0; i < LENGTH(outside); i++) {
        const struct node *n = graph_find_node(c.f.graph, outside[i].layer);
        cr_assert(n, "%s", outside[i].layer);
        const char *fault = schedule_fault(c.f.arena, n, c.target, &outside[i].schedule);
        cr_expect(fault && strstr(fault, outside[i].says), "%s: %s, expected is something of %s",
                  words(&c, n, &outside[i].schedule), fault ? fault : "no fault", outside[i].says);
    }
    end_case(&c);
}

/* ---- what is measured ---- */

static void writes_one(void *const *buffer)
{
    ((float *)buffer[3])[0] = 1; /* x, w, b, y */
}

static void writes_two(void *const *buffer)
{
    ((float *)buffer[3])[0] = 2;
}

static void adds_inputs(void *const *buffer)
{
    ((float *)buffer[3])[0] = ((float *)buffer[0])[0] + ((float *)buffer[1])[0] + ((float *)buffer[2])[0];
}

Test(tune, other_bits_are_a_defect)
{
    struct case_ c = compiled("tests/unit/schedules.net", "x86-64-v4", WINOGRAD_OFF, "8");
    struct tuning t = {.scratch = c.scratch, .diags = c.f.diags, .graph = c.f.graph};
    t.bench = bench_open(c.f.arena, (size_t)c.program->weights_bytes);
    t.bench.scratch = c.scratch;
    struct kind k = {.signature = "conv", .node = graph_find_node(c.f.graph, "narrow.conv")};
    struct program p = empty_program(&c);
    struct stage *stage = lower_node(&p, k.node, c.target);
    cr_assert(stage->call->kernel->n_buffer == 4 && !stage->next);
    struct trial one = {.way = {stage, writes_one}}, two = {.way = {stage, writes_two}},
                 sum = {.way = {stage, adds_inputs}};
    cr_expect(same_bits(&t, &k, &one, &one) && same_bits(&t, &k, &sum, &sum), "%s", fixture_report(&c.f));
    const char *report;
    cr_expect(!same_bits(&t, &k, &one, &two) && fixture_failed(&c.f, "tune_bits", &report), "%s", report);
    end_case(&c);
}

/* The rule of what wins: by 1 % and twice the noise, in both halves. */
Test(tune, what_wins)
{
    static const struct {
        double base[8], other[8];
        bool wins;
    } c[] = {
        {{10, 10, 10, 10, 10, 10, 10, 10}, {9, 9, 9, 9, 9, 9, 9, 9}, true},
        {{10, 10, 10, 10, 10, 10, 10, 10}, {9.95, 9.95, 9.95, 9.95, 9.95, 9.95, 9.95, 9.95}, false}, /* within 1 % */
        {{10, 10, 10, 10, 10, 10, 10, 10}, {9, 9, 9, 90, 9, 9, 30, 9}, true}, /* something else ran */
        {{10, 10, 10, 10, 10, 10, 10, 10}, {9, 10.1, 9, 10.1, 9, 10.1, 9, 10.1}, false},
        {{10, 10.8, 10, 10.8, 10, 10.8, 10, 10.8}, {9, 9, 9, 9, 9, 9, 9, 9}, false}, /* 8 % of noise, 10 % less */
        {{10, 10, 10, 10, 10, 10, 10, 10}, {11, 11, 11, 11, 11, 11, 11, 11}, false},
    };
    struct arena *arena = arena_new("samples");
    for (size_t i = 0; i < LENGTH(c); i++) {
        struct samples base = {(double *)c[i].base, 8, 8}, other = {(double *)c[i].other, 8, 8};
        double ratio;
        cr_expect_eq(samples_beat(&base, &other, arena, &ratio), c[i].wins, "case %zu, ratio %g", i, ratio);
    }
    arena_free(arena);
}

/* ---- signatures ---- */

/* Names that are equal are of one kernel: a line of a file means the same for all of them. And the model stays inside. */
static void check_signatures(const char *file, const char *target)
{
    struct case_ c = compiled(file, target, WINOGRAD_AUTO, NULL);
    struct {
        const char *signature, *kernel;
    } *seen = arena_alloc(c.f.arena, sizeof *seen * (c.f.graph->n_node + 1));
    size_t n_seen = 0;
    for (const struct stage *s = c.program->stage; s; s = s->next) {
        const struct node *n = s->call->node;
        if (!n || !schedule_is_tuned(n->algorithm)) {
            continue; /* NULL: not the last kernel of its layer */
        }
        const char *fault = schedule_fault(c.f.arena, n, c.target, &n->schedule);
        cr_expect(!fault, "%s: the model's %s: %s", file, words(&c, n, &n->schedule), fault);
        const char *signature = layer_signature(c.f.arena, n), *kernel = kernel_canonical(c.f.arena, s->call->kernel);
        size_t at = 0;
        while (at < n_seen && seen[at].signature != signature) {
            at++;
        }
        if (at == n_seen) {
            seen[n_seen].signature = signature;
            seen[n_seen++].kernel = kernel;
        }
        cr_expect_str_eq(seen[at].kernel, kernel, "%s of %s: two kernels for %s", n->name, file, signature);
    }
    end_case(&c);
}

Test(tune, equal_signatures_are_equal_kernels, .timeout = 600)
{
    static const char *const some[] = {"netdefs/resnet50.net",  "netdefs/resnext50_32x4d.net",
                                       "netdefs/resnest50.net", "netdefs/res2net50_26w_4s.net",
                                       "netdefs/cotnet50.net",  "netdefs/halonet26t.net",
                                       "netdefs/senet154.net",  "netdefs/skresnext50_32x4d.net"};
    glob_t all = {0};
    if (getenv("ALL")) {
        glob("netdefs/*.net", 0, NULL, &all);
    }
    for (size_t i = 0; i < (all.gl_pathc ? all.gl_pathc : LENGTH(some)); i++) {
        check_signatures(all.gl_pathc ? all.gl_pathv[i] : some[i], target_at(i % 4)->name);
        for (int t = 0; all.gl_pathc && t < 4; t++) {
            check_signatures(all.gl_pathv[i], target_at(t)->name);
        }
    }
    globfree(&all);
}

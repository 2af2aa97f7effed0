/* Names and comments of kernels: what__how. What: operator, channels, map, epilogues. How: instruction set and tile. */
#include "lower/lower.h"

static void add_epilogues(struct text *t, const struct node *n, const char *before)
{
    for (int i = 0; i < n->n_epilogue; i++)
        text_add(t, "%s%s", before, op_info(n->epilogue[i].op)->name);
}

/* A product in register tiles, whose channels, map and tile make its name; in plain rows it is named as all others are. */
static bool is_tiled(const struct node *n)
{
    return n->algorithm == ALGORITHM_direct || n->algorithm == ALGORITHM_spread || n->algorithm == ALGORITHM_winograd;
}

static void add_conv(struct text *t, const struct node *n)
{
    struct conv_dims d = conv_dims(n);
    if (n->op == OP_linear) {
        text_add(t, "linear_%dto%d", (int)d.ic, (int)d.oc);
        return;
    }
    text_add(t, "%sconv%dx%d", d.groups > 1 ? "g" : "", (int)d.kh, (int)d.kw);
    if (d.sy > 1 || d.sx > 1)
        text_add(t, "s%d", (int)d.sy);
    if (d.dy > 1 || d.dx > 1)
        text_add(t, "d%d", (int)d.dy);
    text_add(t, "_%dto%d", (int)(d.ic * d.groups), (int)(d.oc * d.groups));
    if (d.groups > 1)
        text_add(t, "in%d", (int)d.groups);
    text_add(t, "_%dx%d", (int)d.oh, (int)d.ow);
}

static void add_shape(struct text *t, struct shape s)
{
    for (int i = 0; i < s.rank; i++)
        text_add(t, "%s%d", i ? "x" : "_", (int)s.dim[i]);
}

const char *kernel_name(struct arena *arena, const struct node *n, const struct target *target)
{
    struct text t = {.arena = arena};
    if (is_tiled(n))
        add_conv(&t, n);
    else {
        text_add(&t, "%s", op_info(n->op)->name);
        if (n->op == OP_local_conv)
            text_add(&t, "%dx%d", (int)n->attrs.kernel[0], (int)n->attrs.kernel[1]);
        add_shape(&t, n->type.shape);
    }
    add_epilogues(&t, n, "_");
    text_add(&t, "__%s", target->isa);
    if (n->algorithm == ALGORITHM_spread)
        text_add(&t, "_spread");
    if (n->algorithm == ALGORITHM_winograd) {
        text_add(&t, "_winograd%d_%dx%d", n->schedule.rows, n->schedule.cols, n->schedule.channels);
        return text_string(&t);
    }
    if (is_tiled(n) || n->algorithm == ALGORITHM_local) {
        if (n->schedule.rows)
            text_add(&t, "_%dx%dx%d", n->schedule.rows, n->schedule.cols, n->schedule.channels);
        else
            text_add(&t, "_%dx%d", n->schedule.cols, n->schedule.channels);
    }
    return text_string(&t);
}

static const char *conv_equation(struct arena *a, const struct node *n)
{
    const struct attrs *c = &n->attrs;
    const char *group = c->groups > 1 ? " of its group" : "";
    if (is_tiled(n) && c->kernel[0] * c->kernel[1] == 1)
        return arena_printf(a, "v[oc,oy,ox] = b[oc] + sum_ic x[ic,%s] * w[oc,ic]%s",
                            c->stride[0] > 1 ? "2oy,2ox" : "oy,ox", group);
    return arena_printf(a, "v[%soc,oy,ox] = b[oc] + sum_ic,ky,kx x[%sic,%doy+%dky-%d,%dox+%dkx-%d] * w[oc,ic,ky,kx]%s",
                        n->type.shape.rank > 3 ? ".." : "", n->type.shape.rank > 3 ? ".." : "", (int)c->stride[0],
                        (int)c->dilation[0], (int)c->pad[0], (int)c->stride[1], (int)c->dilation[1], (int)c->pad[1],
                        group);
}

static const char *window_equation(struct arena *a, const struct node *n)
{
    const struct attrs *c = &n->attrs;
    return arena_printf(a, "v[c,ky kx,oy,ox] = x[c,%doy+%dky-%d,%dox+%dkx-%d]", (int)c->stride[0], (int)c->dilation[0],
                        (int)c->pad[0], (int)c->stride[1], (int)c->dilation[1], (int)c->pad[1]);
}

static const char *local_equation(struct arena *a, const struct node *n)
{
    const struct attrs *c = &n->attrs;
    return arena_printf(a, "v[c,oy,ox] = sum_ky,kx x[c,%doy+%dky-%d,%dox+%dkx-%d] * w[kernel of c,ky kx,oy,ox]%s",
                        (int)c->stride[0], (int)c->dilation[0], (int)c->pad[0], (int)c->stride[1], (int)c->dilation[1],
                        (int)c->pad[1], n->n_in > 2 ? ", w = u * n[0] + n[1]" : "");
}

static const char *equation(struct arena *a, const struct node *n)
{
    switch (n->op) {
    case OP_conv:
    case OP_convolve: return conv_equation(a, n);
    case OP_conv1d:
        return arena_printf(a, "v[oc,o] = b[oc] + sum_ic,k x[ic,o+k-%d] * w[oc,ic,k]", (int)n->attrs.pad[1]);
    case OP_linear: return "v[o] = b[o] + sum_i x[i] * w[o,i]";
    case OP_matmul: return "v[..,m,n] = sum_k left[..,m,k] * right[..,k,n]";
    case OP_group_norm: return "v = (x - mean) / sqrt(variance + eps) * scale[c] + shift[c], of a group of channels";
    case OP_moments: return "v = mean_y,x x[c,y,x], then mean_y,x (x[c,y,x] - mean)^2";
    case OP_group_scale:
        return "v = scale[c] / sqrt(variance + eps), then shift[c] - mean * that, of a group of channels";
    case OP_rescale: return "v = x0[c,y,x] * x1[0,c] + x1[1,c]";
    case OP_gated_sum: return "v = x0[c,y,x] * x1[c] + x2[c,y,x] * x3[c] ..";
    case OP_local_conv: return local_equation(a, n);
    case OP_window_dot: return "z[g,ky kx,oy,ox] = sum_c of group g x[c,oy+ky,ox+kx] * y[c,oy,ox]";
    case OP_window_mix: return "z[c,oy,ox] = sum_ky,kx x[c,oy+ky,ox+kx] * y[group of c,ky kx,oy,ox]";
    case OP_each_conv:
        return arena_printf(a, "v[oy,ox,k,c] = b[k] + sum_ky,kx x[c,%doy+%dky-%d,%dox+%dkx-%d] * w[k,ky,kx]",
                            (int)n->attrs.stride[0], (int)n->attrs.dilation[0], (int)n->attrs.pad[0],
                            (int)n->attrs.stride[1], (int)n->attrs.dilation[1], (int)n->attrs.pad[1]);
    case OP_unfold: return window_equation(a, n);
    case OP_pad: return n->attrs.reflect ? "v = x within a border that reflects" : "v = x within a border of zeros";
    case OP_upsample: return n->attrs.bilinear ? "v = x between its nearest four" : "v = the nearest x";
    case OP_take: return "v = rows of x, by index";
    case OP_max_pool: return "v[c,oy,ox] = max over the window of x";
    case OP_avg_pool: return "v[c,oy,ox] = sum over the window of x / cells that count";
    case OP_global_avg_pool:
        return n->n_in > 1 ? "v[c] = sum_y,x (x[c,y,x] + x1[c,y,x] ..) / (H * W)" : "v[c] = sum_y,x x[c,y,x] / (H * W)";
    case OP_scale_shift:
        return n->algorithm == ALGORITHM_generic ? "v[a,..] = x[a,..] * scale[a] + shift[a]"
                                                 : "v[c,y,x] = x0[c,y,x] * w[c] + b[c]";
    case OP_convert: return "v = x in another layout";
    case OP_add: return "v = x0 + x1";
    case OP_sub: return "v = x0 - x1";
    case OP_mul: return "v = x0 * x1";
    case OP_div: return "v = x0 / x1";
    default: return arena_printf(a, "v = %s(x)", op_info(n->op)->name);
    }
}

const char *kernel_comment(struct arena *arena, const struct node *n)
{
    struct text t = {.arena = arena};
    text_add(&t, "%s; y = v", equation(arena, n));
    for (int i = 0; i < n->n_epilogue; i++) {
        enum op op = n->epilogue[i].op;
        text_add(&t, op == OP_add ? " + e" : op == OP_mul ? " * e" : " | %s", op_info(op)->name);
    }
    const struct schedule *s = &n->schedule;
    if (n->algorithm == ALGORITHM_winograd) {
        text_add(&t, "\nWinograd F(%dx%d,3x3), %d rows of tiles at a time; register tile %d tiles x %d channels",
                 s->rows, s->rows, s->band, s->cols, s->channels);
        return text_string(&t);
    }
    if (is_tiled(n) || n->algorithm == ALGORITHM_local) {
        if (s->rows)
            text_add(&t, "\ntile %d rows x %d columns x %d channels", s->rows, s->cols, s->channels);
        else
            text_add(&t, "\ntile %d positions x %d channels", s->cols, s->channels);
    }
    return text_string(&t);
}

/* "layer1.0.conv1, relu: x [64,56,56] -> [64,56,56] halo 1" */
const char *call_comment(struct arena *arena, const struct node *n)
{
    struct text t = {.arena = arena};
    text_add(&t, "%s", n->name);
    for (int i = 0; i < n->n_epilogue; i++) {
        text_add(&t, ", %s", op_info(n->epilogue[i].op)->name);
        if (n->epilogue[i].operand)
            text_add(&t, " %s", n->epilogue[i].operand->name);
    }
    text_add(&t, ": %s -> %s", shape_text(arena, n->in[0]->type.shape), type_text(arena, n->type));
    return text_string(&t);
}

/* "layer1.0.concat: concat of layer1.0.convs.0, layer1.0.convs.1 -> f32[26,14,14] c16 seg 13" */
const char *view_comment(struct arena *arena, const struct node *n)
{
    struct text t = {.arena = arena};
    text_add(&t, "%s: %s of ", n->name, op_info(n->op)->name);
    for (int i = 0; i < n->n_in; i++)
        text_add(&t, "%s%s", i ? ", " : "", n->in[i]->name);
    text_add(&t, " -> %s", type_text(arena, n->type));
    return text_string(&t);
}

/* The way of a picture into an input: operators that are not computed here but checked, and carried to the program as
 * steps.
 *
 * A picture is RGB, 8 bits a channel, of any size. What is known of its size is followed, so that the end can be
 * compared with the input's shape: exact after center_crop or an exact resize, unknown (-1) before. `normalize` makes
 * it a float tensor and is the last step.
 */
#include "front/internal.h"

#include <math.h>

static const struct picture *input_picture(struct call *call)
{
    struct value value = call->input[0];
    if (value.kind != VALUE_PICTURE) {
        fail(call->e, call->frame, call->at, CHECK_input_kind,
             "%s takes a picture, this is %s; pictures come from `from picture |> ...`", call->item->name,
             value_shown(call->e->module, value));
        return NULL;
    }
    if (value.picture->normalized) {
        fail(call->e, call->frame, call->at, CHECK_picture_end,
             "%s comes too late: `normalize` has made a tensor of the picture", call->item->name);
        note(call->e, value.picture->step.origin.span, "here");
        return NULL;
    }
    return value.picture;
}

static struct picture *step_after(struct call *call, const struct picture *before, enum picture_op op)
{
    struct picture *picture = NEW(call->e->module, struct picture);
    *picture = *before;
    picture->before = before;
    picture->n_step = before->n_step + 1;
    picture->step = (struct picture_step){.op = op, .origin = {call->at->span, call->frame->site}};
    return picture;
}

static struct value value_picture(const struct picture *picture)
{
    return (struct value){.kind = VALUE_PICTURE, .picture = picture};
}

static bool in_range(struct call *call, const char *name, int64_t size)
{
    enum { MOST = 65536 };
    if (size >= 1 && size <= MOST) {
        return true;
    }
    argument_fails(call, name, CHECK_picture_argument, "%s of %s is 1 to %d, this is %lld", name, call->item->name,
                   MOST, (long long)size);
    return false;
}

struct value build_resize(struct call *call)
{
    static const char *const filters[] = {"bilinear", "bicubic"};
    const struct picture *before = input_picture(call);
    bool shorter = argument_value(call, "shorter").kind != VALUE_NONE,
         exact = argument_value(call, "exact").kind != VALUE_NONE;
    int filter;
    if (!before || !argument_choice(call, "filter", filters, 2, &filter)) {
        return ERROR_VALUE;
    }
    if (shorter == exact) {
        return fail(call->e, call->frame, call->at, CHECK_picture_argument, "resize takes either `shorter` or `exact`");
    }
    struct picture *picture = step_after(call, before, PICTURE_RESIZE);
    struct picture_step *step = &picture->step;
    step->filter = (enum picture_filter)filter;
    if (exact) {
        if (!argument_pair(call, "exact", step->size) || !in_range(call, "exact", step->size[0]) ||
            !in_range(call, "exact", step->size[1])) {
            return ERROR_VALUE;
        }
        picture->size[0] = step->size[0];
        picture->size[1] = step->size[1];
        return value_picture(picture);
    }
    if (!argument_count(call, "shorter", &step->shorter) || !in_range(call, "shorter", step->shorter)) {
        return ERROR_VALUE;
    }
    bool square = before->size[0] > 0 && before->size[0] == before->size[1];
    picture->size[0] = picture->size[1] = square ? step->shorter : -1;
    return value_picture(picture);
}

struct value build_center_crop(struct call *call)
{
    static const char *const offsets[] = {"round", "ceil"};
    const struct picture *before = input_picture(call);
    int offset;
    if (!before || !argument_choice(call, "offset", offsets, 2, &offset)) {
        return ERROR_VALUE;
    }
    struct picture *picture = step_after(call, before, PICTURE_CENTER_CROP);
    int64_t *size = picture->step.size;
    picture->step.offset_ceil = offset == 1;
    if (!argument_pair(call, "size", size) || !in_range(call, "size", size[0]) || !in_range(call, "size", size[1])) {
        return ERROR_VALUE;
    }
    picture->size[0] = size[0];
    picture->size[1] = size[1];
    return value_picture(picture);
}

struct value build_center_box(struct call *call)
{
    const struct picture *before = input_picture(call);
    if (!before) {
        return ERROR_VALUE;
    }
    struct picture *picture = step_after(call, before, PICTURE_CENTER_BOX);
    double *share = &picture->step.share;
    if (!argument_real(call, "share", share)) {
        return ERROR_VALUE;
    }
    if (!(*share > 0 && *share <= 1)) {
        return argument_fails(call, "share", CHECK_picture_argument,
                              "share of center_box is above 0 and at most 1, this is %g", *share);
    }
    picture->size[0] = picture->size[1] = -1;
    return value_picture(picture);
}

struct value build_gray(struct call *call)
{
    const struct picture *before = input_picture(call);
    if (!before) {
        return ERROR_VALUE;
    }
    struct picture *picture = step_after(call, before, PICTURE_GRAY);
    picture->channels = 1;
    return value_picture(picture);
}

struct value build_swap_red_blue(struct call *call)
{
    const struct picture *before = input_picture(call);
    if (before && before->channels != 3) {
        return fail(call->e, call->frame, call->at, CHECK_picture_channels,
                    "swap_red_blue needs 3 channels, the picture has %d", before->channels);
    }
    return before ? value_picture(step_after(call, before, PICTURE_SWAP_RED_BLUE)) : ERROR_VALUE;
}

/* One number a channel. */
static bool channel_numbers(struct call *call, const char *name, int channels, double *number)
{
    struct value value = argument_value(call, name);
    bool good = value.kind == VALUE_LIST;
    for (size_t i = 0; good && i < value.list->count; i++) {
        double any;
        good = value_number(value.list->item[i], i < 4 ? &number[i] : &any);
    }
    if (!good) {
        argument_fails(call, name, CHECK_argument_kind,
                       "%s of normalize is a list of numbers, one a channel, this is %s", name,
                       value_shown(call->e->module, value));
        return false;
    }
    if (value.list->count != (size_t)channels) {
        argument_fails(call, name, CHECK_picture_channels,
                       "%s of normalize has %zu numbers, the picture has %d channels", name, value.list->count,
                       channels);
        return false;
    }
    return true;
}

struct value build_normalize(struct call *call)
{
    const struct picture *before = input_picture(call);
    if (!before) {
        return ERROR_VALUE;
    }
    struct picture *picture = step_after(call, before, PICTURE_NORMALIZE);
    struct picture_step *step = &picture->step;
    step->channels = before->channels;
    if (!channel_numbers(call, "mean", step->channels, step->mean) ||
        !channel_numbers(call, "std", step->channels, step->std) || !argument_real(call, "range", &step->range)) {
        return ERROR_VALUE;
    }
    for (int i = 0; i < step->channels; i++) {
        if (step->std[i] == 0) {
            return argument_fails(call, "std", CHECK_picture_argument, "std of normalize divides and cannot be 0");
        }
    }
    picture->normalized = true;
    return value_picture(picture);
}

/* Inside the reader of graphs' text form (graph_scan.c, graph_read_node.c, graph_read.c); nobody else
 * includes it but tune/tuned_file.c, which reads schedules.
 *
 * The first fault ends the reading: scan_fail() reports it and moves to the end of the text, so that every function
 * that is still at work finds nothing more. Functions that return bool or a pointer return false or NULL after a
 * fault.
 */
#ifndef NETC_GRAPH_READ_H
#define NETC_GRAPH_READ_H

#include "graph/graph.h"

/* "in %x": the owner may stand further down. */
struct view {
    struct node *node;
    const char *owner;
    struct span span;
};

struct reader {
    struct arena *arena;
    struct diags *diags;
    struct graph *graph;
    int file;
    const char *bytes;
    size_t at, length;
    bool failed;
    struct view *view;
    size_t n_view, cap_view;
};

#define scan_fail(r, check, first, ...)                                                 \
    do {                                                                                \
        if (!(r)->failed) {                                                             \
            diag_error_at((r)->diags, CHECK_##check, scan_span(r, first), __VA_ARGS__); \
        }                                                                               \
        (r)->failed = true;                                                             \
        (r)->at = (r)->length;                                                          \
    } while (0)

/* ---- graph_scan.c ---- */
struct span scan_span(const struct reader *, size_t first); /* from there to the current place */
int scan_byte(const struct reader *, size_t at); /* -1 behind the end */
int scan_look(struct reader *); /* the next byte behind blanks and comments, which are passed; -1 at the end */
bool scan_accept(struct reader *, int c);
bool scan_expect(struct reader *, int c, const char *where);
bool scan_at_word(struct reader *, const char *word);
bool scan_accept_word(struct reader *, const char *word);
/* A word, interned; *first is where it starts. */
const char *scan_word(struct reader *, const char *what, size_t *first);
/* Says that `word` is none of the n known ones, and which was probably meant. */
void scan_fail_unknown(struct reader *, size_t first, const char *what, const char *word, const char *const *known,
                       size_t n);
/* Names, strings and the lists begin at the current byte or behind blanks; bare names only at the current byte. */
const char *scan_string(struct reader *);
const char *scan_name(struct reader *, const char *what, bool may_be_empty);
bool scan_int(struct reader *, int64_t least, int64_t most, int64_t *number);
bool scan_small(struct reader *, int least, int most, int *number);
bool scan_real(struct reader *, double *number);
bool scan_pair(struct reader *, bool short_form, int64_t pair[2]); /* "3x3", or "3" for both */
const double *scan_numbers(struct reader *, int64_t *count);       /* "[1, 2.5, 3]" */
bool scan_dims(struct reader *, struct shape *);
bool scan_type(struct reader *, struct type *); /* of 1 to 2^31 - 1 elements */
bool scan_layout(struct reader *, struct layout *);
const char *scan_source(struct reader *); /* "; where it comes from" to the end of the line; "" if there is none */

/* ---- graph_read_node.c ---- */
/* Left of '='. */
struct value {
    size_t first; /* byte of the statement */
    const char *name;
    struct type type;
    bool owns;
    int64_t bytes; /* of an own storage; 0: as the layout says */
    const char *owner;
    struct span owner_span;
    int64_t lead;
};

struct operands {
    struct node **in;
    size_t n_in, cap_in;
    struct param **param;
    size_t n_param, cap_param;
    bool any; /* number of parameters: a recipe's sources; a node has at most MAX_PARAMS */
    const char *star; /* "bn1." of @bn1.* */
    size_t star_first;
};

bool graph_read_value(struct reader *, struct value *);
bool graph_read_operands(struct reader *, struct operands *);
struct node *graph_read_operand(struct reader *);
/* A node of that type with its layout and storage; reports if the operator gives another type. */
struct node *graph_add_node(struct reader *, const struct value *, enum op, const struct operands *, struct attrs *);
bool graph_read_schedule(struct reader *, struct node *); /* "{direct 1x14x32 band 4}", if it is there */
bool graph_read_rest(struct reader *, struct node *); /* epilogues, algorithm, path, source */
bool graph_read_node(struct reader *);

#endif

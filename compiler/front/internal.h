/* What the files of front/ (and the scanner and the parser) share, in the order of the work: syntax tree, tokens and
 * parser, values, files and names, calls, elaboration.
 */
#ifndef NETC_FRONT_INTERNAL_H
#define NETC_FRONT_INTERNAL_H

#include "front/front.h"

/* ---- limits: what is larger is refused by a named check ---- */
enum {
    MOST_FILE_BYTES = 4 << 20,
    MOST_NESTING = 200,      /* brackets in brackets */
    MOST_TREE_DEPTH = 1000,  /* of a syntax tree, which also a long sum makes deep */
    MOST_CALL_DEPTH = 200,   /* blocks in blocks */
    MOST_EVAL_DEPTH = 3000, /* expressions in expressions over all calls: what the C stack holds, sanitizers included */
#ifdef NETC_FUZZED /* so that no input keeps the fuzzer for seconds */
    MOST_STEPS = 100000,
    MOST_NODES = 2000,
    MOST_LIST = 10000,
#else
    MOST_STEPS = 10000000, /* expressions and list elements evaluated in all */
    MOST_NODES = 200000,
    MOST_LIST = 1000000,
#endif
    MOST_LIST_DEPTH = 100,
    MOST_PARAMS_DECLARED = 1000,
    NAMES_A_STEP = 8, /* what looking through names costs */
};

/* ---- ast.c: the syntax tree ---- */
#define SYNTAX(kind, ...) SYNTAX_##kind,
enum syntax_kind {
#include "front/syntax.def"
    SYNTAX_KINDS
};
#undef SYNTAX

#define SIGN(name, ...) SIGN_##name,
enum sign {
#include "front/signs.def"
    SIGN_COUNT
};
#undef SIGN

struct syntax {
    enum syntax_kind kind;
    enum sign sign;
    bool parenthesised;
    bool failed; /* elaboration has reported an error here: applied again, it stays silent */
    int depth; /* of the tree below */
    struct span span; /* all of it */
    struct span mark; /* the name or the sign in it */
    const char *text; /* interned */
    union {
        int64_t integer;
        double real;
        bool truth;
    };
    struct syntax **child;
    size_t count, capacity;
};

const char *syntax_kind_name(enum syntax_kind);
const char *sign_text(enum sign);
struct syntax *syntax_new(struct arena *, enum syntax_kind, struct span);
struct syntax *syntax_named(struct arena *, enum syntax_kind, struct span, const char *text, struct span mark);
void syntax_add(struct arena *, struct syntax *parent, struct syntax *child); /* NULL: an absent child */
/* The comment directly above a definition, without its #; NULL if there is none. */
const char *syntax_comment(struct arena *, const struct syntax *definition);
void syntax_print(struct text *, const struct syntax *);

/* ---- tokens.c, parse.c: text to tree ---- */
enum bracket_kind { BRACKET_ROUND, BRACKET_SQUARE, BRACKET_BODY, BRACKET_GROUP };
struct bracket {
    enum bracket_kind kind;
    struct span span;
};

struct token {
    int kind; /* of net.y */
    struct span span;
    const char *text; /* NAME DOT_NAME DOT_INT INT REAL STRING: interned */
    enum bracket_kind bracket;
    bool invented; /* a closing bracket that the text lacks */
    bool closes; /* takes its bracket off the stack when it is handed out */
    bool again; /* it was unexpected already: not handed out a third time */
};

struct parser {
    struct arena *perm, *module;
    struct diags *diags;
    int file;
    int start; /* START_FILE or START_EXPRESSION: the first token, which chooses what is read */
    struct syntax *root;
    bool stopped; /* nothing more is read or reported: a limit was met */
    int at; /* the scanner's place */
    struct bracket open[MOST_NESTING];
    int n_open;
    struct token last, before[3]; /* what was handed to the parser, latest first */
    bool recovering; /* token_recover() is skipping: brackets that do not match are part of the first fault */
    int errors;
    enum bracket_kind next_brace; /* what a { would open here */
    struct token pending[MOST_NESTING + 4]; /* tokens to hand out before the scanner is asked again, last one first */
    int n_pending;
    void *scanner;
};

/* The tree of a source (START_FILE: a file, START_EXPRESSION: one expression); NULL after diagnostics. */
struct syntax *parse_source(struct arena *perm, struct arena *module, struct diags *, int file, bool expression);
/* Reads a source and checks its size and encoding; its id, or -1 after a diagnostic. */
int read_source(struct arena *perm, struct diags *, const char *path, const char *shown);
bool check_encoding(struct diags *, int file);

void parser_error(struct parser *, enum check, struct span, const char *format, ...) PRINTF(4, 5);
void token_recover(struct parser *, struct token unexpected); /* skips to where a statement or an item starts */
/* Reports the last token as unexpected, with what could stand there and hints, and recovers. */
void syntax_error(struct parser *, const char *const *expected, int n, bool operator_possible, bool statement_possible);
bool parser_check_label(struct parser *, const struct syntax *label);
const char *parse_string(struct parser *, const char *bytes, size_t n, struct span);
int64_t parse_integer(struct parser *, const char *digits, struct span);
double parse_real(struct parser *, const char *digits, struct span);

/* ---- value.c: values and where they came from ---- */
#define VALUE(kind, ...) VALUE_##kind,
enum value_kind {
#include "front/values.def"
    VALUE_KINDS
};
#undef VALUE

/* ERROR poisons: whatever touches it is silently an ERROR too, so that one fault gives one message. */
struct value {
    enum value_kind kind;
    union {
        int64_t integer;
        double real;
        bool truth;
        const char *string;
        const struct list *list;
        struct node *tensor;
        const struct picture *picture;
        const struct bound *bound; /* BLOCK, FUNCTION */
        const struct record *record;
        const struct module *module;
    };
    const struct cause *cause; /* the last name it was read from, or the division that made it; NULL: neither */
};

struct cause {
    const char *name; /* NULL: a division that was not exact */
    struct value value; /* its cause: the one before */
    struct span span;
};

struct list { /* closed by list_close() before anything reads it */
    size_t count;
    struct value *item;
    int depth; /* lists in lists */
    bool holds_tensor; /* or a picture, at any depth */
};

struct record { /* what applying a net gives, grows while the net runs */
    const char **name;
    struct value *value;
    size_t count, capacity, cap_value, n_value;
};

/* A picture on its way into an input: what was done to it, and what is known of it. */
struct picture {
    const struct picture *before; /* NULL: as it was read */
    struct picture_step step;
    int n_step;
    int channels;
    int64_t size[2]; /* rows, columns; -1 unknown */
    bool normalized; /* a float tensor now */
};

#define ERROR_VALUE ((struct value){.kind = VALUE_ERROR})
struct value value_int(int64_t);
struct value value_real(double);
struct value value_bool(bool);
struct value value_string(const char *);
struct value value_tensor(struct node *);
struct value value_list(struct arena *, size_t count); /* with room for count items; then list_close() */
struct value list_close(struct value list);
struct value value_named(struct arena *, struct value, const char *name,
                         struct span); /* with a cause, if it is of a kind that tells one */
const char *value_kind_name(enum value_kind);
const char *value_shown(struct arena *, struct value); /* "the string \"a\"", "32", "a tensor [64,56,56]" */
void value_print(struct text *, struct value); /* as assert's {name} gives it */
bool value_holds_tensor(struct value); /* a tensor, a picture, or a list with one in it */
bool value_whole(struct value, int64_t *); /* an int, or a real without a fraction */
bool value_number(struct value, double *);
/* -1 unless both are of kinds that compare; adds what it took to *steps and gives up behind MOST_STEPS. */
int value_equal(struct value, struct value, int64_t *steps);

/* ---- import.c: files and what they define ---- */
enum item_kind { ITEM_LET, ITEM_NET, ITEM_BLOCK, ITEM_FUNCTION };
struct call;
typedef struct value builder(struct call *); /* an operator of operators.def */

struct item { /* something a file defines, or an operator */
    enum item_kind kind;
    const char *name;
    struct span mark;
    struct syntax *syntax;
    struct module *module;
    const struct syntax *inputs, *params, *body;
    int n_input, n_param;
    builder *build; /* operators */
    bool variadic; /* min, max: any number of positional arguments */
    int element; /* of a let that takes a list apart; -1: the whole */
    enum { LET_NEW, LET_BUSY, LET_DONE } state;
    struct value value; /* of a let */
};

struct import {
    struct module *module;
    const char *alias; /* NULL: its names are seen as they are */
    struct span span;
};

struct module {
    const char *path, *shown, *real; /* as opened, for people, without links (one module a real path) */
    int file;
    struct syntax *root;
    struct name_map names; /* name to item */
    struct item **item;
    size_t count, capacity;
    struct import *import;
    size_t n_import, cap_import;
    const struct module *loader; /* while it is loaded: the file that wants it */
    bool loading;
};

struct elaborator {
    struct arena *perm, *module;
    struct diags *diags;
    const struct front_options *options;
    struct graph *graph;
    struct module **file;
    size_t n_file, cap_file;
    struct module *operators;
    struct name_map made_by; /* node to the cause of its channels */
    int64_t steps;
    int eval_depth, call_depth;
    struct name_map
        nearby; /* names that files define which nobody imported, to the file; filled when a name is unknown */
    bool looked_nearby;
    bool stopped; /* a limit was met: everything returns */
    bool silent; /* the last error was a repetition: neither it nor its notes are told */
};

struct module *load_file(struct elaborator *, const char *path, const char *shown);
struct module *load_text(struct elaborator *, const char *shown, const char *bytes, size_t length);
struct module *load_operators(struct elaborator *);
/* Finds a file that `module` names: beside itself, then -I, then installed. NULL without a diagnostic. */
const char *find_file(struct elaborator *, const struct module *, const char *written, const char **shown);
/* One name a line; NULL after a diagnostic. */
const char *const *read_labels(struct elaborator *, const struct module *, const char *written, struct syntax *at,
                               int64_t *n);
struct item *module_find(const struct module *, const char *name);

/* ---- names.c: scopes ---- */
struct binding {
    const char *name;
    struct value value;
    struct span span;
    bool variable;
    struct binding *next;
};
struct scope {
    struct binding *first;
    struct scope *parent;
};

/* One application of a block, function or net. */
struct frame {
    const struct item *item; /* NULL: a let of a file, or -D */
    const struct module *module;
    struct scope *scope;
    const char *path; /* the labels that lead here */
    const struct site *site;
    int loops; /* how many loops are around */
    struct net_run *net; /* of a net's own body */
};

struct scope *scope_open(struct elaborator *, struct frame *);
void scope_close(struct frame *);
bool declare(struct elaborator *, struct frame *, const char *name, struct value, struct syntax *at, struct span,
             bool variable);
/* Without a question whether the name is taken: for parameters and inputs. */
void bind_name(struct elaborator *, struct frame *, const char *name, struct value, struct span);
struct binding *find_local(struct elaborator *, const struct frame *, const char *name);
struct value lookup(struct elaborator *, struct frame *, struct syntax *name);
struct value item_value(struct elaborator *, struct item *);
struct value unknown_member(struct elaborator *, struct frame *, struct syntax *at, const struct module *);
/* Adds ", did you mean `x`?" as a note if one of the names is near. */
void suggest(struct elaborator *, struct span, const char *name, const char *const *candidates, size_t n);

/* ---- call.c: binding and applying ---- */
struct argument {
    struct value value;
    struct span span;
    bool given;
};
struct bound {
    const struct item *item;
    struct argument *argument; /* one a parameter */
    const struct list *rest; /* variadic */
};

/* What an operator's builder gets: its inputs and all arguments, defaults filled in. */
struct call {
    struct elaborator *e;
    struct frame *frame; /* the caller's */
    const struct item *item;
    struct syntax *at;
    const char *path;
    bool labelled;
    struct value *input;
    struct argument *argument;
    const struct list *rest;
};

struct value eval_call(struct elaborator *, struct frame *, struct syntax *call, const char *path, bool labelled);
struct value apply_step(struct elaborator *, struct frame *, struct syntax *step, struct value in);
struct value run_net(struct elaborator *, struct item *net, struct argument *);

/* ---- question.c: what options->question asks ---- */
void answer_parameters(struct elaborator *, const struct item *net, const struct argument *all);
/* Do the conditions hold that need no graph (e->graph has no nodes yet), or those that do? False after a diagnostic, too. */
bool answer_conditions(struct elaborator *, const struct item *net, bool with_graph);

/* ---- expression.c, statement.c ---- */
struct value eval(struct elaborator *, struct frame *, struct syntax *);
bool eval_condition(struct elaborator *, struct frame *, struct syntax *, bool *);
const char *eval_label(struct elaborator *, struct frame *,
                       struct syntax *label); /* the path with it; NULL after a diagnostic */
bool spend(struct elaborator *, struct frame *, struct syntax *at, int64_t steps); /* false: the limit is met */
/* Around everything that calls itself: counts the depth of the C stack. At the limit enter() is false; leave() follows
 * even then. */
bool enter(struct elaborator *, struct frame *, struct syntax *at);
void leave(struct elaborator *);
struct value checked_list(struct elaborator *, struct frame *, struct syntax *at,
                          struct value list); /* list_close(), and its limits */

struct range { /* what for and comprehensions go through */
    int64_t from, count;
    const struct list *list; /* NULL: integers */
};
bool eval_range(struct elaborator *, struct frame *, struct syntax *, struct range *);
struct value range_at(const struct range *, int64_t);

struct net_run {
    bool outermost;
    const struct value *given; /* a backbone's inputs */
    int n_given, taken;
    struct record *record;
    const struct scope *top;
};
/* Runs a body; ERROR without a diagnostic if it met one, NONE if it ended without `return`. */
struct value run_body(struct elaborator *, struct frame *, const struct syntax *body);

/* ---- numbers.c, tensors.c: operators with signs ---- */
struct value number_binary(struct elaborator *, struct frame *, struct syntax *, struct value, struct value);
struct value tensor_binary(struct elaborator *, struct frame *, struct syntax *, struct value, struct value);
struct value tensor_negative(struct elaborator *, struct frame *, struct syntax *, struct value);
struct value tensor_at(struct elaborator *, struct frame *, struct syntax *, struct node *, int64_t index);
struct value tensor_attribute(struct elaborator *, struct frame *, struct syntax *, struct node *);
/* Adds a node for the call and its parameters ("bias" only if asked for); NULL after a diagnostic. */
struct node *add_node(struct call *, enum op, struct node *const *in, int n_in, const struct attrs *, bool bias);
struct node *add_constant(struct call *, struct shape, const double *);

/* ---- elaborate.c: reporting ---- */
/* Report once a place (`at`), with the chain of calls; the value is ERROR. */
struct value fail(struct elaborator *, const struct frame *, struct syntax *at, enum check, const char *format, ...)
    PRINTF(5, 6);
struct value fail_span(struct elaborator *, const struct frame *, struct syntax *at, struct span, enum check,
                       const char *format, ...) PRINTF(6, 7);
void note(struct elaborator *, struct span, const char *format, ...) PRINTF(3, 4); /* to the last fail() */
void explain(struct elaborator *, struct value); /* notes: where it came from */
void stop(struct elaborator *);

/* ---- operators.c: what a builder reads ---- */
bool input_tensor(struct call *, int k, struct node **);
struct value argument_value(const struct call *, const char *name);
bool argument_count(struct call *, const char *name, int64_t *); /* a whole number */
bool argument_pair(struct call *, const char *name, int64_t pair[2]); /* an int or [rows, columns] */
bool argument_real(struct call *, const char *name, double *);
bool argument_bool(struct call *, const char *name, bool *);
bool argument_choice(struct call *, const char *name, const char *const *choices, int n,
                     int *); /* one of some strings */
bool argument_shape(struct call *, const char *name, struct shape *);
struct node *argument_constant(struct call *, const char *name); /* a nested list of numbers as a constant node; NULL after a diagnostic */
bool conv_pad(struct call *, struct attrs *); /* the argument `pad`, or the padding that keeps the size at stride 1 */
void remember_cause(struct call *, const struct node *); /* why a node has as many channels as it has, for notes */
bool argument_axis(struct call *, const char *name, int rank, int64_t *); /* negative ones count from the end */
struct value argument_fails(struct call *, const char *name, enum check, const char *format, ...) PRINTF(4, 5);

#define OPERATOR_BLOCK(name, inputs, signature, build) builder build;
#define OPERATOR_FUNCTION(name, signature, build)      builder build;
#define OPERATOR_VARIADIC(name, build)                 builder build;
#include "front/operators.def"

#endif

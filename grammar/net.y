/* The grammar of .net files: tokens to a syntax tree, which knows no meaning.
 *
 * What would surprise: tokens come from net_lex() in tokens.c, not from flex; the first one says whether a file or a
 * single expression (of -D) follows. A label is read as an expression, since convs[i]: starts like a value; its form
 * is checked in the action. After an error, token_recover() has already skipped to a token at which a statement or an
 * item starts, so that the `error` rules only forget the token that was wrong. There is no %destructor: all values lie
 * in arenas.
 */
%require "3.8"
%define api.pure full
%define api.prefix {net_}
%define api.location.type {struct span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%initial-action { @$ = (struct span){parser->file, 0, 0}; (void)yynerrs; }
%param {struct parser *parser}
%code requires {
#include "front/internal.h"
}
%union { const char *text; struct syntax *node; }
%code provides {
int net_lex(NET_STYPE *, struct span *, struct parser *);
}
%code {
#include <string.h>
#define YYMALLOC heap_alloc
#define YYFREE heap_free
#define YYMAXDEPTH 20000 /* a long chain of - or not: reported as too deep */
#define YYLLOC_DEFAULT(all, right, n)                                                                           \
    ((all) = (n) ? (struct span){parser->file, YYRHSLOC(right, 1).first, YYRHSLOC(right, n).last}               \
                 : (struct span){parser->file, YYRHSLOC(right, 0).last, YYRHSLOC(right, 0).last})
#define FRESH(kind, at) syntax_new(parser->module, SYNTAX_##kind, at)
#define NAMED(kind, at, text, mark) syntax_named(parser->module, SYNTAX_##kind, at, text, mark)
#define ADD(parent, child) syntax_add(parser->module, parent, child)
#define ABORT_IF_STOPPED do { if (parser->stopped || parser->last.kind == END_OF_TEXT) YYABORT; } while (0)
static void net_error(struct span *, struct parser *, const char *);
static struct syntax *with(struct parser *, struct syntax *, struct syntax *, struct syntax *, struct syntax *);
static struct syntax *binary(struct parser *, enum sign, struct syntax *, struct syntax *, struct span, struct span);
static struct syntax *piped(struct parser *, struct syntax *, struct syntax *, struct span);
static struct syntax *labelled(struct parser *, struct syntax *, struct syntax *, struct span);
static struct syntax *called(struct parser *, struct syntax *, struct syntax *, struct span);
static struct syntax *grow(struct parser *, struct syntax *, struct syntax *, struct span);
static struct syntax *outputs(struct parser *, struct syntax *, struct syntax *, struct span);
}
%token START_FILE "the start of a file" START_EXPRESSION "the start of an expression" END_OF_TEXT 0 "the end"
%token IMPORT "`import`" AS "`as`" NET "`net`" BLOCK "`block`" FUNCTION "`function`"
%token INPUT "`input`" FROM "`from`" OUTPUT "`output`" LABELS "`labels`"
%token LET "`let`" VAR "`var`" SET "`set`" RETURN "`return`" ASSERT "`assert`" IF "`if`" THEN "`then`" ELSE "`else`"
%token FOR "`for`" IN "`in`" AND "`and`" OR "`or`" NOT "`not`" TRUE "`true`" FALSE "`false`" SHARED "`shared`"
%token PIPE "`|>`" UPTO "`..<`" EQ "`==`" NE "`!=`" LE "`<=`" GE "`>=`"
%token <text> NAME "a name" DOT_NAME ".name" DOT_INT ".number" INT "an integer" REAL "a real number" STRING "a string"
%type <node> items item params param_list param statements statement body inputs names name_list else_part range
%type <node> expr pipeline step group_steps disjunction conjunction negation comparison sum product unary postfix
%type <node> primary args arg_list arg exprs input_from label_clause
%%
start: START_FILE items                     { parser->root = $2; }
    | START_EXPRESSION expr                 { parser->root = $2; } ;

items: %empty                               { $$ = FRESH(file, @$); }
    | items item                            { $$ = $2 ? grow(parser, $1, $2, @$) : $1; } ;
item: IMPORT STRING                         { $$ = with(parser, NAMED(import, @$, $2, @2), NULL, NULL, NULL); }
    | IMPORT STRING AS NAME                 { $$ = NAMED(import, @$, $2, @2); ADD($$, NAMED(name, @4, $4, @4)); }
    | LET names '=' expr                    { $$ = with(parser, FRESH(let, @$), $2, $4, NULL); }
    | NET NAME params body                  { $$ = with(parser, NAMED(net, @$, $2, @2), FRESH(inputs, @2), $3, $4); }
    | FUNCTION NAME params body             { $$ = with(parser, NAMED(function, @$, $2, @2), FRESH(inputs, @2),
                                                          $3, $4); }
    | BLOCK inputs PIPE NAME params body    { $$ = with(parser, NAMED(block, @$, $4, @4), $2, $5, $6); }
    | error                                 { ABORT_IF_STOPPED; $$ = NULL; yyclearin; yyerrok; } ;
inputs: NAME                                { $$ = grow(parser, FRESH(inputs, @$), NAMED(name, @1, $1, @1), @$); }
    | '(' name_list comma ')'               { $$ = $2; $$->kind = SYNTAX_inputs; } ;
params: '(' ')'                             { $$ = FRESH(params, @$); }
    | '(' param_list comma ')'              { $$ = $2; $$->span = @$; } ;
param_list: param                           { $$ = grow(parser, FRESH(params, @$), $1, @$); }
    | param_list ',' param                  { $$ = grow(parser, $1, $3, @$); } ;
param: NAME                                 { $$ = with(parser, NAMED(param, @$, $1, @1), NULL, NULL, NULL); }
    | NAME '=' expr                         { $$ = with(parser, NAMED(param, @$, $1, @1), $3, NULL, NULL); } ;
comma: %empty | ',' ;

body: '{' statements '}'                    { $$ = $2; $$->span = @$; } ;
statements: %empty                          { $$ = FRESH(body, @$); }
    | statements statement                  { $$ = $2 ? grow(parser, $1, $2, @$) : $1; } ;
statement: LET names '=' expr               { $$ = with(parser, FRESH(let, @$), $2, $4, NULL); }
    | VAR NAME '=' expr                     { $$ = with(parser, NAMED(var, @$, $2, @2), $4, NULL, NULL); }
    | SET NAME '=' expr                     { $$ = with(parser, NAMED(set, @$, $2, @2), $4, NULL, NULL); }
    | RETURN expr                           { $$ = with(parser, FRESH(return, @$), $2, NULL, NULL); }
    | IF expr body else_part                { $$ = with(parser, FRESH(when, @$), $2, $3, $4); }
    | FOR NAME IN range body                { $$ = with(parser, NAMED(for, @$, $2, @2), $4, $5, NULL); }
    | ASSERT '(' expr ',' expr comma ')'    { $$ = with(parser, FRESH(assert, @$), $3, $5, NULL); }
    | INPUT NAME '[' exprs comma ']' input_from  { $$ = with(parser, NAMED(input, @$, $2, @2), $4, $7, NULL); }
    | OUTPUT NAME label_clause              { $$ = with(parser, NAMED(output, @$, $2, @2), NULL, $3, NULL); }
    | OUTPUT NAME ',' name_list             { $$ = outputs(parser, NAMED(name, @2, $2, @2), $4, @$); }
    | OUTPUT NAME '=' expr label_clause     { $$ = with(parser, NAMED(output, @$, $2, @2), $4, $5, NULL); }
    | error                                 { ABORT_IF_STOPPED; $$ = NULL; yyclearin; yyerrok; } ;
input_from: %empty { $$ = NULL; } | FROM expr { $$ = $2; } ;
label_clause: %empty { $$ = NULL; } | LABELS expr { $$ = $2; } ;
names: NAME                                 { $$ = NAMED(name, @1, $1, @1); }
    | '[' name_list comma ']'               { $$ = $2; $$->span = @$; } ;
name_list: NAME                             { $$ = grow(parser, FRESH(names, @$), NAMED(name, @1, $1, @1), @$); }
    | name_list ',' NAME                    { $$ = grow(parser, $1, NAMED(name, @3, $3, @3), @$); } ;
else_part: %empty                           { $$ = NULL; }
    | ELSE body                             { $$ = $2; }
    | ELSE IF expr body else_part           { $$ = with(parser, FRESH(when, @$), $3, $4, $5); } ;
range: expr
    | expr UPTO expr                        { $$ = with(parser, FRESH(range, @$), $1, $3, NULL); } ;

expr: pipeline
    | IF expr THEN expr ELSE expr           { $$ = with(parser, FRESH(choose, @$), $2, $4, $6); } ;
pipeline: disjunction
    | postfix ':' postfix                   { $$ = labelled(parser, $1, $3, @$); }
    | pipeline PIPE step                    { $$ = piped(parser, $1, $3, @$); } ;
step: postfix
    | postfix ':' postfix                   { $$ = labelled(parser, $1, $3, @$); }
    | postfix ':' '{' group_steps '}'       { $$ = labelled(parser, $1, $4, @$); } ;
group_steps: step                           { $$ = grow(parser, FRESH(group, @$), $1, @$); }
    | group_steps PIPE step                 { $$ = grow(parser, $1, $3, @$); } ;
disjunction: conjunction
    | disjunction OR conjunction            { $$ = binary(parser, SIGN_or, $1, $3, @$, @2); } ;
conjunction: negation
    | conjunction AND negation              { $$ = binary(parser, SIGN_and, $1, $3, @$, @2); } ;
negation: comparison
    | NOT negation                          { $$ = binary(parser, SIGN_not, $2, NULL, @$, @1); } ;
comparison: sum
    | sum EQ sum                            { $$ = binary(parser, SIGN_eq, $1, $3, @$, @2); }
    | sum NE sum                            { $$ = binary(parser, SIGN_ne, $1, $3, @$, @2); }
    | sum '<' sum                           { $$ = binary(parser, SIGN_lt, $1, $3, @$, @2); }
    | sum LE sum                            { $$ = binary(parser, SIGN_le, $1, $3, @$, @2); }
    | sum '>' sum                           { $$ = binary(parser, SIGN_gt, $1, $3, @$, @2); }
    | sum GE sum                            { $$ = binary(parser, SIGN_ge, $1, $3, @$, @2); } ;
sum: product
    | sum '+' product                       { $$ = binary(parser, SIGN_add, $1, $3, @$, @2); }
    | sum '-' product                       { $$ = binary(parser, SIGN_sub, $1, $3, @$, @2); } ;
product: unary
    | product '*' unary                     { $$ = binary(parser, SIGN_mul, $1, $3, @$, @2); }
    | product '/' unary                     { $$ = binary(parser, SIGN_div, $1, $3, @$, @2); }
    | product '%' unary                     { $$ = binary(parser, SIGN_mod, $1, $3, @$, @2); } ;
unary: postfix
    | '-' unary                             { $$ = binary(parser, SIGN_sub, $2, NULL, @$, @1); } ;
postfix: primary
    | postfix '(' args ')'                  { $$ = called(parser, $1, $3, @$); }
    | postfix '[' expr ']'                  { $$ = with(parser, FRESH(index, @$), $1, $3, NULL); }
    | postfix DOT_NAME                      { $$ = with(parser, NAMED(dot_name, @$, $2, @2), $1, NULL, NULL); }
    | postfix DOT_INT                       { $$ = with(parser, NAMED(dot_int, @$, $2, @2), $1, NULL, NULL); } ;
primary: NAME                               { $$ = NAMED(name, @$, $1, @$); }
    | INT                                   { $$ = NAMED(int, @$, $1, @$);
                                              $$->integer = parse_integer(parser, $1, @$); }
    | REAL                                  { $$ = NAMED(real, @$, $1, @$); $$->real = parse_real(parser, $1, @$); }
    | STRING                                { $$ = NAMED(string, @$, $1, @$); }
    | TRUE                                  { $$ = FRESH(bool, @$); $$->truth = true; }
    | FALSE                                 { $$ = FRESH(bool, @$); }
    | '(' expr ')'                          { $$ = $2; $$->parenthesised = true; $$->span = @$; }
    | '(' expr ',' exprs comma ')'          { $$ = grow(parser, FRESH(tuple, @$), $2, @$);
                                              for (size_t i = 0; i < $4->count; i++) { ADD($$, $4->child[i]); } }
    | '[' ']'                               { $$ = FRESH(list, @$); }
    | '[' exprs comma ']'                   { $$ = $2; $$->span = @$; }
    | '[' expr FOR NAME IN range ']'        { $$ = with(parser, NAMED(each, @$, $4, @4), $2, $6, NULL); } ;
exprs: expr                                 { $$ = grow(parser, FRESH(list, @$), $1, @$); }
    | exprs ',' expr                        { $$ = grow(parser, $1, $3, @$); } ;
args: %empty                                { $$ = FRESH(call, @$); ADD($$, NULL); }
    | arg_list comma ;
arg_list: arg                               { $$ = FRESH(call, @$); ADD($$, NULL); ADD($$, $1); }
    | arg_list ',' arg                      { $$ = $1; ADD($$, $3); } ;
arg: expr
    | NAME '=' expr                         { $$ = with(parser, NAMED(named, @$, $1, @1), $3, NULL, NULL); } ;
%%

/* ---- making nodes ---- */

/* A node and up to three children; NULL is an absent one. */
static struct syntax *with(struct parser *parser, struct syntax *node, struct syntax *a, struct syntax *b,
                           struct syntax *c)
{
    ADD(node, a);
    ADD(node, b);
    ADD(node, c);
    return node;
}

static struct syntax *grow(struct parser *parser, struct syntax *parent, struct syntax *child, struct span span)
{
    ADD(parent, child);
    parent->span = span;
    return parent;
}

static struct syntax *binary(struct parser *parser, enum sign sign, struct syntax *a, struct syntax *b,
                             struct span span, struct span mark)
{
    struct syntax *node = b ? FRESH(binary, span) : FRESH(unary, span);
    node->sign = sign;
    node->mark = mark;
    return with(parser, node, a, b, NULL);
}

/* a |> b |> c is one node, so that a long pipeline is no deep tree. */
static struct syntax *piped(struct parser *parser, struct syntax *head, struct syntax *step, struct span span)
{
    if (head->kind == SYNTAX_pipe && !head->parenthesised) {
        return grow(parser, head, step, span);
    }
    struct syntax *node = FRESH(pipe, span);
    ADD(node, head);
    ADD(node, step);
    return node;
}

static struct syntax *labelled(struct parser *parser, struct syntax *label, struct syntax *what, struct span span)
{
    parser_check_label(parser, label);
    struct syntax *node = FRESH(label, span);
    node->mark = label->span;
    ADD(node, label);
    ADD(node, what);
    return node;
}

/* `output a, b, c`: each name an output of its own. */
static struct syntax *outputs(struct parser *parser, struct syntax *first, struct syntax *names, struct span span)
{
    struct syntax *node = FRESH(outputs, span);
    ADD(node, with(parser, NAMED(output, first->span, first->text, first->span), NULL, NULL, NULL));
    for (size_t i = 0; i < names->count; i++) {
        const struct syntax *name = names->child[i];
        ADD(node, with(parser, NAMED(output, name->span, name->text, name->span), NULL, NULL, NULL));
    }
    return node;
}

/* The arguments were read into a call whose first child is still to come. */
static struct syntax *called(struct parser *parser, struct syntax *callee, struct syntax *call, struct span span)
{
    struct syntax *node = FRESH(call, span);
    node->mark = callee->span;
    call->child[0] = callee;
    for (size_t i = 0; i < call->count; i++) {
        ADD(node, call->child[i]);
    }
    return node;
}

/* ---- errors ---- */

/* Bison calls this for its own stack alone. */
static void net_error(struct span *at, struct parser *parser, const char *message)
{
    (void)message;
    parser_error(parser, CHECK_nesting, *at, "this is nested too deep");
    parser->stopped = true;
}

/* What a token may begin: a list of all tokens that could follow would tell nobody anything. */
enum class { CLASS_ITSELF, CLASS_OPERATOR, CLASS_VALUE, CLASS_STATEMENT };

static enum class class_of(yysymbol_kind_t token, bool value)
{
    switch (token) {
    case YYSYMBOL_AND: case YYSYMBOL_OR: case YYSYMBOL_EQ: case YYSYMBOL_NE: case YYSYMBOL_LE: case YYSYMBOL_GE:
    case YYSYMBOL_PIPE: case YYSYMBOL_DOT_NAME: case YYSYMBOL_DOT_INT:
        return CLASS_OPERATOR;
    case YYSYMBOL_INT: case YYSYMBOL_REAL: case YYSYMBOL_TRUE: case YYSYMBOL_FALSE: case YYSYMBOL_NOT:
        return CLASS_VALUE;
    case YYSYMBOL_NAME: case YYSYMBOL_STRING:
        return value ? CLASS_VALUE : CLASS_ITSELF;
    case YYSYMBOL_VAR: case YYSYMBOL_SET: case YYSYMBOL_RETURN: case YYSYMBOL_ASSERT: case YYSYMBOL_FOR:
    case YYSYMBOL_INPUT: case YYSYMBOL_OUTPUT:
        return CLASS_STATEMENT;
    default:
        return CLASS_ITSELF;
    }
}

/* Single characters that are told by their class once that class is told. */
static bool is_told(const char *name, bool operators, bool values, bool statements)
{
    char c = name[0] == '\'' && name[2] == '\'' ? name[1] : 0;
    bool told = (operators && c && strchr("+-*/%<>[(", c)) || (values && c && strchr("[(-", c));
    return told || ((values || statements) && !strcmp(name, "`if`")) || (statements && !strcmp(name, "`let`"));
}

static int yyreport_syntax_error(const yypcontext_t *context, struct parser *parser)
{
    yysymbol_kind_t token[YYNTOKENS];
    int n = yypcontext_expected_tokens(context, token, YYNTOKENS);
    int members[CLASS_STATEMENT + 1] = {0};
    bool value = false; /* a NAME or a STRING alone is no value */
    for (int i = 0; i < n; i++) {
        value |= token[i] == YYSYMBOL_INT;
    }
    for (int i = 0; i < n; i++) {
        members[class_of(token[i], value)]++;
    }
    const char *expected[YYNTOKENS + 3];
    int count = 0;
    static const char *const class_name[] = {NULL, "an operator", "a value", "a statement"};
    bool told[CLASS_STATEMENT + 1] = {false};
    for (int i = CLASS_OPERATOR; i <= CLASS_STATEMENT; i++) {
        told[i] = members[i] > 1; /* a class of one is named itself */
        if (told[i]) {
            expected[count++] = class_name[i];
        }
    }
    for (int i = 0; i < n; i++) {
        const char *name = yysymbol_name(token[i]);
        bool covered = is_told(name, told[CLASS_OPERATOR], told[CLASS_VALUE], told[CLASS_STATEMENT]);
        if (!told[class_of(token[i], value)] && !covered) {
            expected[count++] = name;
        }
    }
    syntax_error(parser, expected, count, told[CLASS_OPERATOR], told[CLASS_STATEMENT]);
    return 0;
}

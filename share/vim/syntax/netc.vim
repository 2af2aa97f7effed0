" Networks for netc (*.net). The words are those of grammar/net.l and compiler/front/operators.def: tests/install compares.
if exists("b:current_syntax")
    finish
endif

syntax keyword netcInclude import as from labels
syntax keyword netcDefine net block function input output let var set
syntax keyword netcStatement return assert if then else for in shared
syntax keyword netcWordOperator and or not
syntax keyword netcConstant true false none picture

" Operators of the language; a label or an argument of that name, below, is none.
syntax match netcOperator "\<\%(conv\|convolve\|conv1d\|linear\|batch_norm\|group_norm\|parameter\|constant\)\>"
syntax match netcOperator "\<\%(relu\|silu\|sigmoid\|identity\|multiply\|softmax\|sum\|mean\|matmul\)\>"
syntax match netcOperator "\<\%(max_pool\|avg_pool\|global_avg_pool\|pad\|upsample\|unfold\)\>"
syntax match netcOperator "\<\%(flatten\|reshape\|permute\|split\|unstack\|concat\|stack\|take\)\>"
syntax match netcOperator "\<\%(resize\|center_crop\|center_box\|gray\|swap_red_blue\|normalize\)\>"
syntax match netcOperator "\<\%(floor\|ceil\|round\|abs\|min\|max\|sqrt\|log2\|length\)\>"

syntax match netcSign "|>\|\.\.<\|[=!<>]=\|[-+*/%<>=]"
syntax match netcNumber "\<\d\+\%(\.\d\+\)\?\%([eE][+-]\?\d\+\)\?\>"
syntax match netcArgument "\<\h\w*\>\ze\s*=\%(=\)\@!"
syntax match netcLabel "\<[A-Za-z0-9_]\+\%(\.\w\+\|\[[^]]*\]\)*\ze\s*:"
syntax match netcMember "\.\w\+"
syntax region netcString start=+"+ skip=+\\.+ end=+"+ end=+$+ contains=netcEscape,netcValue
syntax match netcEscape "\\[\"\\n]" contained
syntax match netcValue "{\h\w*}" contained
syntax match netcComment "#.*" contains=netcTodo,@Spell
syntax keyword netcTodo TODO FIXME XXX contained

highlight default link netcInclude Include
highlight default link netcDefine Keyword
highlight default link netcStatement Statement
highlight default link netcWordOperator Operator
highlight default link netcConstant Constant
highlight default link netcOperator Function
highlight default link netcSign Operator
highlight default link netcNumber Number
highlight default link netcArgument Identifier
highlight default link netcLabel Label
highlight default link netcString String
highlight default link netcEscape SpecialChar
highlight default link netcValue SpecialChar
highlight default link netcComment Comment
highlight default link netcTodo Todo

let b:current_syntax = "netc"

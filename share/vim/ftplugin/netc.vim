" Networks for netc (*.net): comments, and the indentation that the networks of netc have.
if exists("b:did_ftplugin")
    finish
endif
let b:did_ftplugin = 1
setlocal comments=:# commentstring=#\ %s shiftwidth=4 expandtab suffixesadd=.net
let b:undo_ftplugin = "setlocal comments< commentstring< shiftwidth< expandtab< suffixesadd<"

autocmd BufNewFile,BufRead *.net setfiletype netc

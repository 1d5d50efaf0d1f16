module causalmesh

go 1.25.0

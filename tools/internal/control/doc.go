// Package control is command meshctl: it reads and writes keys from a shell, shows
// how nodes are, and runs clusters on this machine. Command meshctl is a thin main
// around [Main].
//
// Each call is one command in one process. With --context FILE, calls that follow
// each other are one causal session, at whichever nodes they are made: the session's
// context is loaded before and stored after each. Calls that use the same file at
// the same time are branches, and the last one to store wins.
//
// It refuses to guess: a flag that a command does not use is an error.
package control

// Package memstore is a small database that speaks Redis's protocol on a Unix
// socket: it lets people try a cluster on a machine without Redis.
//
// It is miniredis, with two differences: INFO says what causalmeshd asks of a
// database before it uses one, and keys expire by the clock. It carries the commands
// and scripts of package daemon/store, which are tested against it here.
//
// Serve may be called once per socket and from any goroutine; the server has one
// lock for all commands.
//
// It refuses to be a database for anything but trying: it keeps everything in
// memory until it ends, knows no CONFIG and no bound of memory, takes times of
// expiry a millisecond too early at worst, and is many times slower than Redis.
// Nothing that was measured with it says anything.
package memstore

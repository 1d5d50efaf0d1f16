package memstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// infoText is the answer to INFO. The version is that of the commands which are
// carried: the least that causalmeshd takes.
var infoText = strings.Join([]string{
	"# Server", "server_name:miniredis", "redis_version:7.0.0", "redis_mode:standalone",
	"# Memory", "maxmemory:0", "maxmemory_policy:noeviction",
	"# Replication", "role:master",
	"# Cluster", "cluster_enabled:0", "",
}, "\r\n")

// Serve serves on a Unix socket until ctx ends. The file of the socket must not
// exist, and goes at the end. ready is called once clients can connect.
func Serve(ctx context.Context, socket string, ready func()) error {
	m := miniredis.NewMiniRedis()
	// This is how a miniredis starts that listens on no port.
	c, err := m.Dial()
	if err != nil {
		return fmt.Errorf("embedded database: %w", err)
	}
	defer m.Close()
	_ = c.Close()
	m.ClockTTL(true)
	m.Server().SetPreHook(func(c *server.Peer, command string, _ ...string) (done bool) {
		if command == "INFO" {
			c.WriteBulk(infoText)
			return true
		}
		return false
	})
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("embedded database: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return errors.Join(fmt.Errorf("embedded database: %w", err), l.Close())
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	ready()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return errors.Join(fmt.Errorf("embedded database: %w", err), l.Close())
		}
		m.Server().ServeConn(conn)
	}
}

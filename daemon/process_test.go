package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"causalmesh/daemon/child"
)

// The test binary plays other processes too: a node, and clients of one.
const (
	roleVariable   = "CAUSALMESH_DAEMON_TEST_ROLE"
	configVariable = "CAUSALMESH_DAEMON_TEST_CONFIG" // of a node
	targetVariable = "CAUSALMESH_DAEMON_TEST_TARGET" // of a client
)

func TestMain(m *testing.M) {
	roles := map[string]func() error{"node": playNode, "visitor": playVisitor, "worker": playWorker}
	play, other := roles[os.Getenv(roleVariable)]
	if !other {
		os.Exit(m.Run())
	}
	if err := play(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// other makes the command for another process.
func other(role string, env ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe") // its path may be closed to other users
	c.Env = append(append(os.Environ(), roleVariable+"="+role), env...)
	c.Stderr = os.Stderr
	return c
}

// playNode is a node in a process of its own. It says where it listens for others.
func playNode() error {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(configVariable)), &cfg); err != nil {
		return err
	}
	n, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	fmt.Println(n.Addresses().Peer)
	return n.Run(context.Background())
}

// startProcess starts node i in a process of its own, which can be killed and stopped.
func (c *cluster) startProcess(i int) (p *child.Process) {
	c.t.Helper()
	eventually(c.t, "the node starts", func() bool {
		var address string
		p, address = c.tryProcess(i)
		if _, _, err := net.SplitHostPort(address); err == nil {
			c.proxies[i].SetTarget(address)
			return true
		}
		// The kernel closes the sockets of an io_uring a little after its process has
		// ended: until then the path is in use.
		if !strings.Contains(address, "another process serves this socket") {
			c.t.Fatalf("node %d says: %s", i, address)
		}
		p.Kill()
		return false
	})
	c.t.Cleanup(func() {
		_ = p.Signal(syscall.SIGCONT)
		p.Kill()
	})
	return p
}

// tryProcess returns what the process says first.
func (c *cluster) tryProcess(i int) (*child.Process, string) {
	c.t.Helper()
	cfg, err := json.Marshal(c.config(i))
	if err != nil {
		c.t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	defer out.Close()
	command := other("node", configVariable+"="+string(cfg))
	command.Stdout = in
	p, err := child.Start(command)
	_ = in.Close()
	if err != nil {
		c.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.Kill()
		c.t.Fatalf("node %d says %q, %v", i, line, err)
	}
	return p, strings.TrimSpace(line)
}

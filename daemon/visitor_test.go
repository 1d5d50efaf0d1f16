package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"causalmesh/causal/wire"
	"causalmesh/clientlib"
)

// Who may attach to what.

// strangerUID is a user who is neither root nor the node's.
const strangerUID = 65534

// playVisitor says what becomes of a client: "served", "refused" and why, or "failed".
func playVisitor() error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	client, err := clientlib.Dial(ctx, os.Getenv(targetVariable))
	switch {
	case errors.Is(err, clientlib.ErrRefused):
		fmt.Println("refused:", err)
		return nil
	case err != nil:
		return err
	}
	defer client.Close()
	s := client.Session()
	if err := s.Write(ctx, "visited", []byte("yes")); err != nil {
		return err
	}
	for n := 1; n > 0; {
		if n, err = unsettled(ctx, s); err != nil {
			return err
		}
	}
	value, _, err := s.Read(ctx, "visited")
	if err == nil && string(value) == "yes" {
		fmt.Println("served")
	}
	return err
}

// visit has another user's process be a client, and returns what it says.
func visit(t *testing.T, uid uint32, target string) string {
	t.Helper()
	command := other("visitor", targetVariable+"="+target)
	command.Dir = "/" // this folder may be closed to others
	command.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread() // the child goes with the thread
	defer runtime.UnlockOSThread()
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s for user %d: %v: %s", target, uid, err, out)
	}
	return string(out)
}

// openToAll lets every user connect to node i.
func (c *cluster) openToAll(i int) {
	c.t.Helper()
	for path, mode := range map[string]os.FileMode{filepath.Dir(c.dir): 0o755, c.dir: 0o755, c.socket(i): 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Another user has rings, and the table if direct-uids has that user.
func TestWhoMayReadTheTable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	const listed = 12345
	c := startCluster(t, 1, func(c *Config) { c.DirectUIDs = []string{"1", fmt.Sprint(listed)} })
	c.openToAll(0)
	for _, v := range []struct {
		uid    uint32
		scheme string
		says   string
	}{
		{strangerUID, "unix", "served"},
		{strangerUID, "shm", "served"},
		{strangerUID, "direct", "refused"},
		{listed, "direct", "served"},
		{0, "direct", "served"},
	} {
		got := visit(t, v.uid, v.scheme+":"+c.socket(0))
		if !strings.HasPrefix(got, v.says) {
			t.Errorf("user %d over %s: %q, want %s", v.uid, v.scheme, got, v.says)
		}
		if v.says == "refused" && !(strings.Contains(got, "direct-uids") && strings.Contains(got, fmt.Sprint(v.uid)) && strings.Contains(got, "shm:")) {
			t.Errorf("it does not say what to do: %s", got)
		}
	}
	eventually(t, "all is counted", func() bool {
		s := c.status(0).Daemon
		return s.SharingRefused == 1 && s.Refused == 1 && s.Malformed == 0 && s.Attached == 3 && s.Clients == 0
	})
}

// A client on another machine gets no shared memory, and hears why.
func TestNoRingsOverTCP(t *testing.T) {
	c := startCluster(t, 1, nil)
	for _, h := range []wire.Hello{{Rings: true}, {Rings: true, Table: true}, {Table: true}} {
		b, err := wire.AppendHandshake(nil, &h)
		if err != nil {
			t.Fatal(err)
		}
		r := refusalAt(t, "tcp", c.nodes[0].Addresses().TCP, b)
		if r.Code != wire.RefusedSharing || !strings.Contains(r.Text, "listen-unix") {
			t.Errorf("%+v: refused with %v: %q", h, r.Code, r.Text)
		}
	}
	eventually(t, "they are counted", func() bool {
		s := c.status(0).Daemon
		return s.SharingRefused == 3 && s.Malformed == 0 && s.Clients == 0
	})
}

package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"causalmesh/bpf"
	"causalmesh/daemon"
)

// readUnit reads causalmeshd.service: what is assigned to each name.
func readUnit(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("causalmeshd.service")
	if err != nil {
		t.Fatal(err)
	}
	unit, section := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		name, value, assigns := strings.Cut(line, "=")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = line
		case !assigns || section == "" || strings.HasSuffix(line, `\`):
			t.Fatalf("neither a section nor an assignment of one line: %q", line)
		default:
			if _, twice := unit[name]; twice {
				t.Fatalf("%s is assigned twice", name)
			}
			unit[name] = value
		}
	}
	return unit
}

// The systemd unit agrees with what the program takes and needs.
func TestUnit(t *testing.T) {
	unit := readUnit(t)
	command := strings.Fields(unit["ExecStart"])
	at := slices.Index(command, "--config")
	if filepath.Base(command[0]) != "causalmeshd" || at < 0 {
		t.Fatalf("ExecStart: %q", command)
	}
	command[at+1] = filepath.Join(t.TempDir(), "node.toml")
	if err := os.WriteFile(command[at+1], []byte("node-id = 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, err := daemon.ParseArgs(command[1:], nil)
	if err == nil {
		err = cmd.Config.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := cmd.Config
	pins := "mkdir -p " + c.BPFPins + " && chown -R " + unit["User"] + ": " + c.BPFPins
	if !strings.Contains(unit["ExecStartPre"], pins) || !strings.HasPrefix(unit["ExecStartPre"], "+") {
		t.Errorf("ExecStartPre does not say %q", pins)
	}
	if dir := filepath.Join("/run", unit["RuntimeDirectory"]); filepath.Dir(c.ListenUnix) != dir {
		t.Errorf("%s is not in %s", c.ListenUnix, dir)
	}
	capabilities := strings.Join(bpf.Capabilities(), " ")
	for name, want := range map[string]string{
		"AmbientCapabilities": capabilities, "CapabilityBoundingSet": capabilities, "NoNewPrivileges": "yes",
		"Type": "notify", "RestartPreventExitStatus": strconv.Itoa(exitConfig), "ProtectKernelTunables": "",
	} {
		if unit[name] != want {
			t.Errorf("%s=%s, want %s", name, unit[name], want)
		}
	}
	if patience, err := strconv.Atoi(unit["TimeoutStopSec"]); err != nil || time.Duration(patience)*time.Second <= c.DrainTimeout {
		t.Errorf("TimeoutStopSec=%s, but to drain may take %v", unit["TimeoutStopSec"], c.DrainTimeout)
	}
	if files, err := strconv.Atoi(unit["LimitNOFILE"]); err != nil || files < 3*c.MaxConns {
		t.Errorf("LimitNOFILE=%s, for %d connections at each listener", unit["LimitNOFILE"], c.MaxConns)
	}
}

// A service manager that wants to hear of it hears that the daemon has started.
func TestServiceManagerIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	d := start(t)
	if err := manager.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 100)
	n, _, err := manager.ReadFrom(message)
	if err != nil || string(message[:n]) != "READY=1" {
		t.Fatalf("%q, %v\n%s", message[:n], err, d.logged())
	}
	d.serves(1)
}

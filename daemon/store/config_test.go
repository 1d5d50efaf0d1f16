package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon/store/redistest"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"redis://localhost:6379/0":              "tcp localhost:6379 0",
		"redis://host":                          "tcp host:6379 0",
		"redis://[::1]:7/3":                     "tcp [::1]:7 3",
		"redis://u:p@host:1/2":                  "tcp host:1 2 u p",
		"redis://host:1?db=4":                   "tcp host:1 4",
		"rediss://host:1/2":                     "tcp host:1 2 tls",
		"rediss://host:1/2?skip_verify=true":    "tcp host:1 2 tls unverified",
		"redis+unix:///run/redis.sock":          "unix /run/redis.sock 0",
		"redis+unix:///run/redis.sock?db=5":     "unix /run/redis.sock 5",
		"redis+unix://u:p@/run/a%20b/r.sock":    "unix /run/a b/r.sock 0 u p",
		"redis+unix://run/redis.sock":           "", // the host is "run"
		"redis+unix:run/redis.sock":             "",
		"redis://host:1/x":                      "",
		"redis://host:1/-1":                     "",
		"redis://host:1/0?db=x":                 "",
		"redis://host:1/0?read_timeout=1s":      "",
		"redis://host:1/0?pool_size=1000":       "",
		"http://host:1":                         "",
		"mem":                                   "",
		"":                                      "",
		"redis://u:secret@[::1/0":               "",
		"redis://u:secret@host:1/0?max_retries": "",
		"redis://u:secret@ho st/0":              "",
		"http://u:secret@host":                  "",
	} {
		o, err := ParseURL(text)
		if err != nil {
			if want != "" || !errors.Is(err, ErrConfig) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: %v, want %q", text, err, want)
			}
			continue
		}
		got := fmt.Sprintf("%s %s %d", o.Network, o.Addr, o.DB)
		if o.Username != "" {
			got += " " + o.Username + " " + o.Password
		}
		if o.TLSConfig != nil && o.TLSConfig.MinVersion >= tls.VersionTLS12 {
			got += " tls"
			if o.TLSConfig.InsecureSkipVerify {
				got += " unverified"
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "redis://localhost", Epoch: func() causal.Epoch { return 1 }}
	for name, change := range map[string]func(*Config){
		"Epoch":                     func(c *Config) { c.Epoch = nil },
		"URL":                       func(c *Config) { c.URL = "" },
		"Grace":                     func(c *Config) { c.Grace = -1 },
		"Grace below a millisecond": func(c *Config) { c.Grace = time.Microsecond },
		"Grace too long":            func(c *Config) { c.Grace = 1<<63 - 1 },
		"Timeout":                   func(c *Config) { c.Timeout = -time.Second },
		"Workers":                   func(c *Config) { c.Workers = maxWorkers + 1 },
		"QueueLength":               func(c *Config) { c.QueueLength = -1 },
		"BatchRequests":             func(c *Config) { c.BatchRequests = -1 },
		"BatchBytes":                func(c *Config) { c.BatchBytes = -1 },
		"KeyBytes":                  func(c *Config) { c.KeyBytes = -1 },
		"ValueBytes":                func(c *Config) { c.ValueBytes = maxBytes + 1 },
	} {
		config := good
		change(&config)
		_, err := New(config, func(Results) {})
		field, _, _ := strings.Cut(name, " ")
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := New(good, func(Results) {})
	if err != nil {
		t.Fatal(err)
	}
	if s.config.Timeout != DefaultConfig.Timeout || s.config.Workers != DefaultConfig.Workers {
		t.Errorf("%+v", s.config)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	f := newFixture(t, redistest.Start(t, "--maxmemory-policy", "allkeys-lru"), nil)
	check := func(want error, text string) {
		t.Helper()
		err := f.store.Check(t.Context())
		if !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), text) {
			t.Fatalf("Check: %v, want %v with %q", err, want, text)
		}
	}
	check(nil, "") // nothing is evicted without a limit
	f.do("CONFIG", "SET", "maxmemory", "100mb")
	check(ErrUnsuitable, "set maxmemory-policy noeviction")
	f.do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	check(ErrUnsuitable, "volatile-ttl")
	f.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	check(nil, "")
	f.do("REPLICAOF", "127.0.0.1", "1")
	check(ErrUnsuitable, "replica")
	f.do("REPLICAOF", "NO", "ONE")
	check(nil, "")
	f.server.Stop()
	check(ErrUnreachable, "")
}

// At the start a server may take longer than requests may.
func TestSlowCheck(t *testing.T) {
	f := newFixture(t, nil, func(c *Config) { c.Timeout = time.Second })
	f.server.Pause()
	checked := make(chan error, 1)
	go func() { checked <- f.store.Check(t.Context()) }()
	time.Sleep(f.store.config.Timeout) // that it takes longer is what is tested
	f.server.Resume()
	if err := <-checked; err != nil {
		t.Error(err)
	}
}

func TestCheckByPort(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	for user, want := range map[string]error{":secret@": nil, ":wrong@": ErrUnreachable, "": ErrUnreachable} {
		s, err := New(Config{
			URL:     strings.Replace(server.URL(), "://", "://"+user, 1),
			Epoch:   func() causal.Epoch { return 1 },
			Timeout: within,
		}, func(Results) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); !errors.Is(err, want) || err != nil && strings.Contains(err.Error(), "wrong@") {
			t.Errorf("%q: %v, want %v", user, err, want)
		}
		_ = s.Close()
	}
}

func TestSuitable(t *testing.T) {
	const fine = "# Server\r\nredis_version:%s\r\nrole:master\r\ncluster_enabled:%d\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"
	for _, c := range []struct {
		version string
		cluster int
		want    error
	}{
		{"7.0.15", 0, nil}, {"8.2", 0, nil}, {"10.0.0", 0, nil},
		{"6.2.14", 0, ErrUnsuitable}, {"", 0, ErrUnsuitable}, {"x", 0, ErrUnsuitable},
		{"7.0.15", 1, ErrUnsuitable},
	} {
		if err := suitable(info(fmt.Sprintf(fine, c.version, c.cluster))); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

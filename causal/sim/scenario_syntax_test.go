package sim

import (
	"errors"
	"strings"
	"testing"
)

func TestScenarioSyntax(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		// What ParseScenario refuses.
		{"no claim", "A@0 read x", "opens with no claim"},
		{"claim too late", "A@0 read x\n# A reads x.", "opens with no claim"},
		{"unknown defect", "# c\ncaught-by nonsense", `:2: no defect "nonsense"`},
		{"no defect", "# c\ncaught-by none", `no defect "none"`},
		{"no number of servers", "# c\nservers", "1 to 8 servers"},
		{"bad number of servers", "# c\nservers two", `no number "two"`},
		{"no servers", "# c\nservers 0", `no number "0"`},
		{"too many servers", "# c\nservers 9", "1 to 8 servers"},
		{"setting with a word", "# c\nstore no", `unknown word "no"`},
		{"setting after a line", "# c\nrest\nstore", ":3: settings come first"},
		{"skews of too few servers", "# c\nskew 1ms 2ms", "skews of 2 servers, there are 3"},
		{"bad skew", "# c\nskew 1ms 2ms 3", "missing unit"},

		// What Play refuses: lines that say nothing.
		{"unknown line", "# c\nwrite x v1", ":2: write x v1: unknown line"},
		{"session without operation", "# c\nA@0", "SESSION@SERVER OPERATION"},
		{"server that is not there", "# c\nA@3 read x", `no server "3"`},
		{"server that is no number", "# c\nA@one read x", `no server "one"`},
		{"unknown operation", "# c\nA@0 increment x", "unknown operation"},
		{"send and nothing else", "# c\nA@0 send", "unknown operation"},
		{"read of nothing", "# c\nA@0 read", "read of 0 keys"},
		{"read of two keys", "# c\nA@0 read x y", "read of 2 keys"},
		{"sync of a key", "# c\nA@0 sync x", "sync of 1 keys"},
		{"write without value", "# c\nA@0 write x", "want write KEY VALUE"},
		{"bad value", "# c\nA@0 write x 1", `no value "1"`},
		{"value zero", "# c\nA@0 write x v0", `no value "v0"`},
		{"bad time to live", "# c\nA@0 write x v1 ttl soon", "invalid duration"},
		{"time to live without ttl", "# c\nA@0 write x v1 for 5ms", "want write KEY VALUE"},
		{"session and nothing else", "# c\nA@0 sync\nA", "a session and nothing else"},
		{"unknown word of a session", "# c\nA@0 sync\nA sleeps", `unknown word "sleeps"`},
		{"branch of nobody", "# c\nB branches A", `no session "A"`},
		{"join of nobody", "# c\nA@0 sync\nA joins B", `no session "B"`},
		{"bad number of steps", "# c\nA@0 direct x\nA step two", `no number "two"`},
		{"bad number of messages", "# c\n0>1 -1", `no number "-1"`},
		{"two numbers", "# c\n0>1 1 2", `no number "1 2"`},
		{"link to nowhere", "# c\n0>9", `no server "9"`},
		{"cut of nothing", "# c\ncut", `no server ""`},
		{"bad wait", "# c\nwait long", "invalid duration"},
		{"tick of no server", "# c\ntick", `no server ""`},
		{"evict without key", "# c\nevict 0", "want evict SERVER KEY"},
		{"evict with a wrong word", "# c\nevict 0 x denied", "want evict SERVER KEY"},
		{"bad number of shown steps", "# c\nshow 0 some", `no number "some"`},
		{"unknown word of the database", "# c\nservers 1\nstore\nA@0 read x\ndb stop", `unknown word "stop"`},
		{"foreign without value", "# c\nforeign x", `no value ""`},
		{"restart with a wrong word", "# c\nrestart now", `unknown word "now"`},
		{"restart with too many skews", "# c\nrestart skew 0s 0s 0s 0s", "skews of 4 servers"},
		{"old without a restart", "# c\nA@0 read x\nold A", `no context of a session "A"`},

		// Lines whose expectation nobody would look at.
		{"outcome of a message", "# c\nA@0 write x v1\n0>1 -> v1", "nothing comes of this line"},
		{"outcome of a sent request", "# c\nA@0 send read x -> nothing", "nothing comes of this line"},
		{"outcome of an arrival", "# c\nA@0 send read x\nA arrive -> nothing", "nothing comes of this line"},
		{"outcome of a started direct read", "# c\nA@0 direct x -> nothing", "nothing comes of this line"},

		// Expectations that do not hold.
		{"another value", "# c\nA@0 write x v1\nA@0 read x -> v2", `:3: A@0 read x: got "v1", want "v2"`},
		{"fewer values", "# c\nA@0 read-many x y -> nothing", `got "nothing nothing"`},
		{"a value and not an error", "# c\nA@0 read x -> error overloaded", `got "nothing"`},
		{"another error", "# c\nservers 1\nstore\nA@0 read x -> parked\ndb fail\nA finish -> error overloaded", "got \"error store unavailable"},
		{"no message", "# c\n0>1\n0>1", ":3: 0>1: there is no message"},
		{"no ring message to send", "# c\n1>0 send", "no ring message to send"},
		{"idle database", "# c\ndb answer", "not asked for so much"},
		{"idle database, second request", "# c\nservers 1\nstore\nA@0 read x\ndb run 2", "not asked for so much"},
		{"eviction", "# c\nservers 1\nstore\nA@0 write x v1\nevict 0 x", "evicted: false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseScenario("text", strings.NewReader(c.text))
			if err == nil {
				_, err = s.Play(0, nil)
			}
			if err == nil {
				t.Fatal("it passes")
			}
			if !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want it to contain %q", err, c.want)
			}
		})
	}
}

// With a defect, expectations are not looked at: what a defect changes is for the
// checker to find.
func TestScenarioDefectIgnoresExpectations(t *testing.T) {
	s, err := ParseScenario("text", strings.NewReader("# c\nA@0 read x -> v1\n0>1 5\ndb answer\nevict 0 x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Play(0, nil); err == nil {
		t.Error("without a defect it passes")
	}
	if _, err := s.Play(1, nil); err != nil {
		t.Errorf("with one: %v", err)
	}
}

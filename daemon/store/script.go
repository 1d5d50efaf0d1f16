package store

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"
)

//go:embed script/state.lua
var stateSource string

//go:embed script/load.lua
var loadSource string

//go:embed script/flush.lua
var flushSource string

var (
	loadScript  = newScript(stateSource + loadSource)
	flushScript = newScript(stateSource + flushSource)
)

// script is a script and the name that Redis knows it by. go-redis's own Script
// does not go with pipelines: its Load takes the hash from a reply that is not
// there yet.
type script struct{ source, hash string }

func newScript(source string) *script {
	return &script{source: source, hash: redis.NewScript(source).Hash()}
}

// call is one run of a script.
type call struct {
	keys      []string
	arguments []any
}

// reply is what came of a call: the script's own words, or why there are none.
type reply struct {
	fields []string
	err    error
}

// status is the first word of a script's reply.
func (r *reply) status() string {
	if len(r.fields) == 0 {
		return ""
	}
	return r.fields[0]
}

// report returns the key's state, if the reply has one.
func (r *reply) report() (*report, error) {
	var p report
	if len(r.fields) != 1+len(p) {
		return nil, fmt.Errorf("%w: reply of %d fields", ErrMalformed, len(r.fields))
	}
	copy(p[:], r.fields[1:])
	return &p, nil
}

// run sends all calls of a script in one round trip. If the server does not know
// the script (it is new, or was restarted), a second one brings it there: what
// answers NOSCRIPT was not run.
func (s *Store) run(ctx context.Context, script *script, calls []call) []reply {
	replies := make([]reply, len(calls))
	all := make([]int, len(calls))
	for i := range all {
		all[i] = i
	}
	unknown := s.pipeline(ctx, script, calls, all, replies, false)
	if len(unknown) > 0 {
		s.pipeline(ctx, script, calls, unknown, replies, true)
	}
	s.queue.adapt(len(calls), !slices.ContainsFunc(replies, reply.late))
	return replies
}

// late reports whether the database did not answer in time, as opposed to not at all.
func (r reply) late() bool {
	var timeout net.Error
	return errors.Is(r.err, context.DeadlineExceeded) || errors.As(r.err, &timeout) && timeout.Timeout()
}

// pipeline makes the calls named by which and sets their replies. It returns those
// that found no script.
func (s *Store) pipeline(ctx context.Context, script *script, calls []call, which []int, replies []reply, bring bool) (unknown []int) {
	s.counters.roundTrips.Add(1)
	pipe := s.client.Pipeline()
	if bring {
		pipe.ScriptLoad(ctx, script.source)
	}
	commands := make([]*redis.Cmd, len(which))
	for i, n := range which {
		commands[i] = pipe.EvalSha(ctx, script.hash, calls[n].keys, calls[n].arguments...)
	}
	_, sent := pipe.Exec(ctx)
	for i, n := range which {
		fields, err := commands[i].StringSlice()
		switch {
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			unknown = append(unknown, n)
		case err == nil && len(fields) == 0:
			// Never run: the pipeline's own error says why.
			err = fmt.Errorf("no reply: %w", sent)
		}
		replies[n] = reply{fields, err}
	}
	return unknown
}

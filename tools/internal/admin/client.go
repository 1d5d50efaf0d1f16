package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"causalmesh/causal"
)

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 4 << 20

// Status is what is shown of a node's /status.
type Status struct {
	Ready    bool         `json:"ready"`
	NotReady string       `json:"not_ready"`
	Draining bool         `json:"draining"`
	Epoch    causal.Epoch `json:"epoch"`
	Boot     string       `json:"boot"`
	Process  struct {
		PID      int   `json:"pid"`
		RSSBytes int64 `json:"rss_bytes"`
	} `json:"process"`
	Daemon struct {
		Requests uint64 `json:"requests"`
	} `json:"daemon"`
	Server *Server `json:"server"` // nil before the node has an epoch
	Peers  []struct {
		Node causal.ReplicaID `json:"node"`
		To   bool             `json:"link_to"`
		From bool             `json:"link_from"`
	} `json:"peers"`
}

// Server is the part of a Status that is the protocol's.
type Server struct {
	Node     causal.ReplicaID   `json:"node"`
	Received causal.VectorClock `json:"received"`
	Stable   causal.VectorClock `json:"stable"`
	Pending  int                `json:"pending"` // versions that are not stable
	Dirty    int                `json:"dirty"`   // keys to flush
	Entries  int                `json:"entries"`
}

// Answer is what came of asking one node.
type Answer struct {
	Address string          `json:"admin"`
	Status  json.RawMessage `json:"status,omitempty"` // all of it
	Error   string          `json:"error,omitempty"`
	parsed  Status
}

// Parsed returns what is shown of the status; false if there is none.
func (a *Answer) Parsed() (Status, bool) { return a.parsed, a.Error == "" }

// Ready asks whether a node is ready; nil says that it is.
func Ready(ctx context.Context, address string) error {
	code, body, err := Get(ctx, address, "/readyz")
	switch {
	case err != nil:
		return err
	case code == http.StatusOK:
		return nil
	case code == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", ErrNotReady, strings.TrimSpace(string(body)))
	}
	return fmt.Errorf("%s: %w: status %d", address, ErrAnswer, code)
}

// Ask asks several nodes at once for their status. There is an answer for each
// address, in their order.
func Ask(ctx context.Context, addresses []string) []Answer {
	answers := make([]Answer, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() { answers[i] = ask(ctx, address) })
	}
	all.Wait()
	return answers
}

func ask(ctx context.Context, address string) Answer {
	a := Answer{Address: address}
	code, body, err := Get(ctx, address, "/status")
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%w: status %d: %.200q", ErrAnswer, code, strings.TrimSpace(string(body)))
	}
	if err == nil {
		if err = json.Unmarshal(body, &a.parsed); err != nil {
			err = fmt.Errorf("%w: %w", ErrAnswer, err)
		}
	}
	if err != nil {
		a.Error = err.Error()
		return a
	}
	a.Status = body
	return a
}

// client keeps no connections: a command asks once.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Get asks one node. What it answers is the caller's to judge; an error says that
// there is no answer, or one that is too long.
func Get(ctx context.Context, address, path string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("admin address %q: %w; write host:port", address, errors.Unwrap(err))
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case len(body) > maxAnswerBytes:
		return 0, nil, fmt.Errorf("%s: %w: more than %d bytes", address, ErrAnswer, maxAnswerBytes)
	}
	return response.StatusCode, body, nil
}

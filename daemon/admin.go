package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// admin serves people and monitors over HTTP, apart from data:
//
//	/healthz  200 while the event loop answers; else 503
//	/readyz   200 while the node is ready; else 503 and the reason
//	/status   everything that is counted, as JSON
//	/metrics  the same, and what probes in the kernel have measured, for Prometheus
//
// It runs on goroutines of its own and asks the loop, so an answer is one moment's.
type admin struct {
	n        *node
	listener net.Listener
	server   *http.Server
}

const (
	// askTimeout is for monitors, to whom a loop that takes longer is a fault.
	askTimeout = time.Second
	// statusTimeout is for people, who want an answer from a busy node, too. Who gives up before it ends
	// the question.
	statusTimeout   = 10 * time.Second
	adminReadHeader = 5 * time.Second
	// adminWrite covers the whole of a request, with statusTimeout in it.
	adminWrite     = 15 * time.Second
	adminHeaderMax = 16 << 10
)

func newAdmin(address string, n *node) (*admin, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	a := &admin{n: n, listener: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /status", a.status)
	mux.Handle("GET /metrics", newMetricsHandler(newCollector(n)))
	a.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: adminReadHeader, ReadTimeout: adminReadHeader,
		WriteTimeout: adminWrite, MaxHeaderBytes: adminHeaderMax,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug), // strangers' mistakes
	}
	return a, nil
}

func (a *admin) address() string { return a.listener.Addr().String() }

func (a *admin) serve() {
	go func() {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.n.log.Error("admin endpoint has ended: data is still served; restart the node to get it back", "error", err)
		}
	}()
}

func (a *admin) close() {
	_ = a.server.Close()
	_ = a.listener.Close()
}

func (a *admin) healthz(w http.ResponseWriter, r *http.Request) {
	if _, err := ask(r.Context(), a.n, func() struct{} { return struct{}{} }); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (a *admin) readyz(w http.ResponseWriter, r *http.Request) {
	reason, err := ask(r.Context(), a.n, a.n.notReady)
	if err != nil {
		reason = err.Error()
	}
	if reason != "" {
		http.Error(w, reason, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (a *admin) status(w http.ResponseWriter, r *http.Request) {
	s, err := a.n.askStatus(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(s) // it fails only if the reader has gone
}

// ask has the loop work out an answer, and waits for it for askTimeout.
func ask[T any](ctx context.Context, n *node, f func() T) (answer T, err error) {
	return askWithin(ctx, n, n.askTimeout, f)
}

// askWithin has the loop work out an answer, and waits for it. When it gives up, f may still
// run, later: whatever f finds out leaves through its return value only.
func askWithin[T any](ctx context.Context, n *node, timeout time.Duration, f func() T) (answer T, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan T, 1)
	if !n.offer(func() { done <- f() }) {
		return answer, fmt.Errorf("%w: %d questions wait already", ErrBusy, maxPosted)
	}
	select {
	case answer = <-done:
		return answer, nil
	case <-n.ended:
		return answer, ErrStopped
	case <-ctx.Done():
		return answer, fmt.Errorf("%w within %v", ErrBusy, timeout)
	}
}

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// admin serves people and monitors over HTTP, apart from data:
//
//	/healthz  200 while the event loop answers
//	/readyz   200 while the node is ready; else 503 and the reason
//	/status   everything that is counted, as JSON
//
// It runs on goroutines of its own and asks the loop, so an answer is one moment's.
type admin struct {
	n        *node
	listener net.Listener
	server   *http.Server
}

const (
	askTimeout      = time.Second
	adminReadHeader = 5 * time.Second
	adminHeaderMax  = 16 << 10
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
	a.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: adminReadHeader, ReadTimeout: adminReadHeader,
		MaxHeaderBytes: adminHeaderMax, ErrorLog: nil,
	}
	return a, nil
}

func (a *admin) address() string { return a.listener.Addr().String() }

func (a *admin) serve() {
	go func() {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.n.log.Error("admin endpoint has ended", "error", err)
		}
	}()
}

func (a *admin) close() {
	_ = a.server.Close()
	_ = a.listener.Close()
}

func (a *admin) healthz(w http.ResponseWriter, r *http.Request) {
	if err := a.n.ask(r.Context(), func() {}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (a *admin) readyz(w http.ResponseWriter, r *http.Request) {
	var reason string
	if err := a.n.ask(r.Context(), func() { reason = a.n.notReady() }); err != nil {
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

// ask runs f on the loop and waits until it has.
func (n *node) ask(ctx context.Context, f func()) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	done := make(chan struct{})
	n.post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-n.ended:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("%w within %v", ErrBusy, askTimeout)
	}
}

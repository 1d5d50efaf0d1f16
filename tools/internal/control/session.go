package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"causalmesh/clientlib"
)

// connect connects to the target.
func (c *call) connect(ctx context.Context) (*clientlib.Client, error) {
	if c.target == "" {
		return nil, fmt.Errorf("%w: --target is missing; give a node's unix:PATH or tcp:HOST:PORT (meshctl cluster status lists those of a cluster here)", ErrUsage)
	}
	client, err := clientlib.Dial(ctx, c.target, clientlib.WithName("meshctl"))
	switch {
	case errors.Is(err, clientlib.ErrBadRequest):
		return nil, fmt.Errorf("%w: --target: %w", ErrUsage, err)
	case errors.Is(err, clientlib.ErrDisconnected):
		return nil, fmt.Errorf("%w; check that the node runs (meshctl cluster status)", err)
	}
	return client, err
}

// inSession does something in the session that the call belongs to. The context is
// stored if it went well, or if only the value was not there: that was learned.
func (c *call) inSession(ctx context.Context, do func(context.Context, *clientlib.Session) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	client, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	session, err := c.resume(client)
	if err != nil {
		return err
	}
	file, err := newContextFile(c.context)
	if err != nil {
		return err
	}
	defer file.discard()
	err = do(ctx, session)
	switch {
	case err == nil || errors.Is(err, ErrAbsent):
		err = file.store(session.Context(), err)
	case errors.Is(err, clientlib.ErrEpoch) && c.context != "":
		err = fmt.Errorf("%w; the cluster was started anew since %s was stored: remove that file", err, c.context)
	}
	return err
}

// resume goes on with the session whose context is in the file, if there is one.
func (c *call) resume(client *clientlib.Client) (*clientlib.Session, error) {
	if c.context == "" {
		return client.Session(), nil
	}
	text, err := os.ReadFile(c.context)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return client.Session(), nil
	}
	if err != nil {
		return nil, err
	}
	session, err := client.Resume(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; give the file of an earlier --context, or remove it to start a new session", c.context, err)
	}
	return session, nil
}

// contextFile is where a context will be stored: a new file, which then replaces the
// one at path at once, as a context that is cut short would lose the past. Others may
// not read it, as it holds values. It is made before the command does anything, since
// a write whose context cannot be stored is lost to the session. nil stores nothing.
type contextFile struct {
	path string
	file *os.File
}

func newContextFile(path string) (*contextFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("nothing was done, as the context could not be stored in %s: %w", path, err)
	}
	return &contextFile{path, f}, nil
}

// store stores the context of a command that ended with result: nil or ErrAbsent.
func (f *contextFile) store(context []byte, result error) error {
	if f == nil {
		return result
	}
	_, err := f.file.Write(context)
	if err = errors.Join(err, f.file.Close()); err == nil {
		err = os.Rename(f.file.Name(), f.path)
	}
	switch {
	case err == nil:
		f.file = nil
		return result
	case result == nil:
		return fmt.Errorf("done, but the context could not be stored in %s: %w", f.path, err)
	}
	// Not wrapped: that there is no value is not what the caller must care for now.
	return fmt.Errorf("%v, but the context could not be stored in %s: %w", result, f.path, err)
}

// discard removes what has not been stored.
func (f *contextFile) discard() {
	if f == nil || f.file == nil {
		return
	}
	_ = f.file.Close()
	_ = os.Remove(f.file.Name())
}

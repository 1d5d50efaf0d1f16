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
		return nil, fmt.Errorf("%w: --%w", ErrUsage, err)
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
	err = do(ctx, session)
	switch {
	case err == nil || errors.Is(err, ErrAbsent):
		if c.context != "" {
			err = errors.Join(err, store(c.context, session.Context()))
		}
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

// store replaces the file at once: a context that is cut short would lose the past.
// Others may not read it, as it holds values.
func store(path string, context []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(context)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

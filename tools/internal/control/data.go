package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"causalmesh/clientlib"
)

// item is an item as JSON.
type item struct {
	Key   string `json:"key"`
	Found bool   `json:"found"`
	// Value is there if it is text, else Base64.
	Value  *string `json:"value,omitempty"`
	Base64 []byte  `json:"value_base64,omitempty"`
	// Version is that of the value, or of the delete; null if it was never written.
	Version *version `json:"version"`
}

type version struct {
	Node     clientlib.ReplicaID `json:"node"` // that took the write
	Counter  uint64              `json:"counter"`
	TimeNs   uint64              `json:"time_ns"`
	Epoch    clientlib.Epoch     `json:"epoch"`
	Deadline *time.Time          `json:"deadline,omitempty"`
}

func newItem(i *clientlib.Item) item {
	j := item{Key: i.Key, Found: i.Found}
	if v := i.Version; !v.Absent() {
		j.Version = &version{
			Node: v.Stamp.Origin, Counter: uint64(v.Dot.Counter), TimeNs: uint64(v.Stamp.Time), Epoch: v.Epoch,
		}
		if !v.Deadline.IsZero() {
			j.Version.Deadline = &v.Deadline
		}
	}
	switch {
	case !i.Found:
	case utf8.Valid(i.Value):
		text := string(i.Value)
		j.Value = &text
	default:
		j.Base64 = i.Value
	}
	return j
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func get(ctx context.Context, c *call) error {
	return c.inSession(ctx, func(ctx context.Context, s *clientlib.Session) error {
		i, err := s.ReadItem(ctx, c.words[0])
		if err != nil {
			return err
		}
		if c.json {
			if err := writeJSON(c.stdout, newItem(&i)); err != nil {
				return err
			}
		}
		if !i.Found {
			return fmt.Errorf("%q: %w", i.Key, ErrAbsent)
		}
		if !c.json {
			_, err = fmt.Fprintf(c.stdout, "%s\n", i.Value)
		}
		return err
	})
}

func mget(ctx context.Context, c *call) error {
	return c.inSession(ctx, func(ctx context.Context, s *clientlib.Session) error {
		found, err := s.ReadMany(ctx, c.words...)
		if err != nil {
			return err
		}
		items := make([]item, len(found))
		for i := range found {
			items[i] = newItem(&found[i])
		}
		if c.json {
			return writeJSON(c.stdout, items)
		}
		for _, i := range found {
			// Quoted, so that a value that is not there differs from all that are.
			value := "-"
			if i.Found {
				value = fmt.Sprintf("%q", i.Value)
			}
			fmt.Fprintf(c.stdout, "%q\t%s\n", i.Key, value)
		}
		return nil
	})
}

func put(ctx context.Context, c *call) error {
	var options []clientlib.WriteOption
	if c.ttl != 0 {
		options = append(options, clientlib.TTL(c.ttl))
	}
	return c.inSession(ctx, func(ctx context.Context, s *clientlib.Session) error {
		return s.Write(ctx, c.words[0], []byte(c.words[1]), options...)
	})
}

func del(ctx context.Context, c *call) error {
	return c.inSession(ctx, func(ctx context.Context, s *clientlib.Session) error {
		return s.Delete(ctx, c.words[0])
	})
}

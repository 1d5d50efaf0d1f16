package control

import (
	"context"
	"fmt"
	"text/tabwriter"

	"causalmesh/clientlib"
	"causalmesh/tools/internal/admin"
)

func status(ctx context.Context, c *call) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if len(c.admins) == 0 {
		return c.targetStatus(ctx)
	}
	answers := admin.Ask(ctx, c.admins)
	var err error
	if c.json {
		err = writeJSON(c.stdout, answers)
	} else {
		err = admin.WriteTable(c.stdout, answers)
	}
	if err == nil {
		err = allReady(answers)
	}
	return err
}

func allReady(answers []admin.Answer) error {
	ready := 0
	for i := range answers {
		if s, ok := answers[i].Parsed(); ok && s.Ready {
			ready++
		}
	}
	if ready < len(answers) {
		return fmt.Errorf("%w: %d of %d are", ErrNotReady, ready, len(answers))
	}
	return nil
}

// info is what a node tells its clients, as JSON.
type info struct {
	Target      string                `json:"target"`
	Node        clientlib.ReplicaID   `json:"node"`
	RingSize    int                   `json:"ring_size"`
	Epoch       clientlib.Epoch       `json:"epoch"`
	Incarnation clientlib.Incarnation `json:"incarnation"`
	Signed      bool                  `json:"signed"`
	Daemon      string                `json:"daemon"`
	Limits      struct {
		KeyBytes     int `json:"key_bytes"`
		ValueBytes   int `json:"value_bytes"`
		ContextBytes int `json:"context_bytes"`
		BatchKeys    int `json:"batch_keys"`
		OwnWrites    int `json:"own_writes"`
		Branches     int `json:"branches"`
	} `json:"limits"`
}

// targetStatus shows what a node says of itself when a client connects.
func (c *call) targetStatus(ctx context.Context) error {
	if c.target == "" {
		return fmt.Errorf("%w: give --admin ADDRESS for each node, or --target NODE for what one says of itself", ErrUsage)
	}
	client, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	from := client.Info()
	i := info{
		Target: from.Target, Node: from.Node, RingSize: from.RingSize, Epoch: from.Epoch,
		Incarnation: from.Incarnation, Signed: from.Signed, Daemon: from.Daemon,
	}
	l := &i.Limits
	l.KeyBytes, l.ValueBytes, l.ContextBytes = from.Limits.KeyBytes, from.Limits.ValueBytes, from.Limits.ContextBytes
	l.BatchKeys, l.OwnWrites, l.Branches = from.Limits.BatchKeys, from.Limits.OwnWrites, from.Limits.Branches
	if c.json {
		return writeJSON(c.stdout, i)
	}
	t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	signed := "no: clients and their contexts are trusted"
	if i.Signed {
		signed = "yes"
	}
	for _, row := range [][2]any{
		{"node", fmt.Sprintf("%d of a ring of %d", i.Node, i.RingSize)},
		{"epoch", uint64(i.Epoch)},
		{"cluster key", signed},
		{"daemon", i.Daemon},
		{"limits", fmt.Sprintf("key %d bytes, value %d bytes, %d keys at once, %d writes in flight with %d bytes",
			l.KeyBytes, l.ValueBytes, l.BatchKeys, l.OwnWrites, l.ContextBytes)},
	} {
		fmt.Fprintf(t, "%s\t%v\n", row[0], row[1])
	}
	return t.Flush()
}

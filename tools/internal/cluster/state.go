package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"causalmesh/tools/internal/process"
)

// stateFile is the name of the state file in a cluster's folder.
const stateFile = "cluster.json"

// State is what DIR/cluster.json holds.
type State struct {
	Dir      string    `json:"dir"`
	Created  time.Time `json:"created"`
	StoreURL string    `json:"store"`
	// Keeper is nil until it runs.
	Keeper *process.Identity `json:"keeper,omitempty"`
	// Fault is why the keeper has given up.
	Fault string `json:"fault,omitempty"`
	// Store is the embedded database; nil if there is another one, or none.
	Store *Member `json:"embedded_store,omitempty"`
	Nodes []Node  `json:"nodes"`
}

// Member is one process of a cluster.
type Member struct {
	Name string   `json:"name"`
	Args []string `json:"args"` // the program first
	Log  string   `json:"log"`
	// Process is nil until the process was started.
	Process *process.Identity `json:"process,omitempty"`
	// Exit is nil until it has ended.
	Exit *Exit `json:"exit,omitempty"`
}

// Exit is how a process ended.
type Exit struct {
	Well bool      `json:"well"`
	How  string    `json:"how"`
	At   time.Time `json:"at"`
	// Asked: it was the keeper that asked it to end.
	Asked bool `json:"asked"`
}

// Node is one causalmeshd.
type Node struct {
	Member
	Unix  string `json:"unix"`
	TCP   string `json:"tcp"`
	Peer  string `json:"peer"`
	Admin string `json:"admin"`
}

// members returns all processes but the keeper, in the order in which they start.
func (s *State) members() []*Member {
	var all []*Member
	if s.Store != nil {
		all = append(all, s.Store)
	}
	for i := range s.Nodes {
		all = append(all, &s.Nodes[i].Member)
	}
	return all
}

// Redacted returns a copy to be shown: without the database's password, which is in
// the command lines, too.
func (s *State) Redacted() *State {
	c := *s
	if u, err := url.Parse(s.StoreURL); err == nil {
		c.StoreURL = u.Redacted()
	}
	c.Nodes = slices.Clone(s.Nodes)
	for i := range c.Nodes {
		c.Nodes[i].Args = slices.Clone(c.Nodes[i].Args)
		for j, a := range c.Nodes[i].Args {
			if a == s.StoreURL {
				c.Nodes[i].Args[j] = c.StoreURL
			}
		}
	}
	return &c
}

// Admins returns the admin addresses of all nodes.
func (s *State) Admins() []string {
	addresses := make([]string, len(s.Nodes))
	for i, n := range s.Nodes {
		addresses[i] = n.Admin
	}
	return addresses
}

func (s *State) path() string { return filepath.Join(s.Dir, stateFile) }

// Read returns the state of the cluster in a folder, or ErrNone.
func Read(dir string) (*State, error) {
	path := filepath.Join(dir, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s; start one with meshctl cluster up, or name its folder with --dir", ErrNone, dir)
	}
	if err != nil {
		return nil, err
	}
	s := &State{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%w: %s: %w; end its processes by hand and remove it", ErrState, path, err)
	}
	return s, nil
}

func (s *State) encode() ([]byte, error) {
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// create writes the state file, which must not exist: of two that try, one wins.
// The file is complete from the start, so it is made under another name.
func (s *State) create() error {
	temporary, err := s.writeTemporary()
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }()
	err = os.Link(temporary, s.path())
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w in %s: end it with meshctl cluster down, or choose another folder with --dir", ErrExists, s.Dir)
	}
	return err
}

// save replaces the state file at once: who reads it sees one state or the other.
func (s *State) save() error {
	temporary, err := s.writeTemporary()
	if err != nil {
		return err
	}
	return os.Rename(temporary, s.path())
}

func (s *State) writeTemporary() (path string, err error) {
	text, err := s.encode()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(s.Dir, stateFile+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// remove removes what is no use without the processes. Logs stay.
func (s *State) remove() error {
	files := []string{s.path()}
	for _, n := range s.Nodes {
		files = append(files, n.Unix)
	}
	if s.Store != nil {
		files = append(files, filepath.Join(s.Dir, storeSocket))
	}
	var faults []error
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// State tells how the process is, in a word or a few.
func (m *Member) State() string {
	switch {
	case m.Exit != nil && m.Exit.Asked:
		return "ended"
	case m.Exit != nil:
		return "ended by itself: " + m.Exit.How
	case m.Process == nil:
		return "not started"
	case !m.Process.Runs():
		return "gone"
	}
	return "runs"
}

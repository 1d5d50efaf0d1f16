package causal

// Action is the name of an action of the model (tla/) that a server carries out.
type Action string

// The actions. What a Transition tells of each is behind its name.
const (
	ActionRead          Action = "Read"          // Client, Version: of one key of the answer
	ActionSync          Action = "Sync"          // Client: a reply that comes with S alone, or later than the write
	ActionWrite         Action = "Write"         // Client or Own, Version
	ActionSend          Action = "Send"          // Dot; Version, or none: a mark
	ActionReceive       Action = "Receive"       // Dot
	ActionPassMark      Action = "PassMark"      // Dot
	ActionEndFirstRound Action = "EndFirstRound" // Dot
	ActionEnd           Action = "End"           // Vector: E, risen
	ActionLearn         Action = "Learn"         // Vector: E, risen
	ActionResync        Action = "Resync"        // Peer; Vector, Marks: what it has stated
	ActionMiss          Action = "Miss"          // Key, Load
	ActionServeMiss     Action = "ServeMiss"     // Version, Key; Peer, Load: whose, of the asker
	ActionInstallMiss   Action = "InstallMiss"   // Key, Load
	ActionLoaded        Action = "Loaded"        // Key, Load
	ActionLoadFails     Action = "LoadFails"     // Key, Load
	ActionFlush         Action = "Flush"         // Version
	ActionFlushed       Action = "Flushed"       // Key
	ActionFlushFails    Action = "FlushFails"    // Key
	ActionAnnounce      Action = "Announce"      // Vector: F
	ActionEvict         Action = "Evict"         // Key
)

// Transition is one step of the model that a server has just taken; it is in the
// state to which the step leads (but an entry to be forgotten is still there). What
// it refers to is valid during the call.
type Transition struct {
	Action  Action
	Client  ClientID
	Own     bool // Write: by no client
	Peer    ReplicaID
	Dot     Dot
	Version *Version
	Key     []byte
	Load    LoadID
	Vector  VectorClock
	Marks   VectorClock
}

// took tells an observer of a transition.
func (s *Server) took(t Transition) {
	if observe := s.cfg.Experiment.Observe; observe != nil {
		observe(t)
	}
}

package causal

// LoadRequest asks the database for a key. The caller answers it with a
// LoadResult under the same ID, once, however long it takes.
type LoadRequest struct {
	ID  LoadID
	Key []byte
}

// LoadStatus is what a load came to.
type LoadStatus uint8

// The outcomes of a load.
const (
	// LoadFailed: the database could not be asked. Never the same as absent.
	LoadFailed LoadStatus = iota
	// LoadAbsent: no value, no tombstone.
	LoadAbsent
	// LoadFound: Version is what was last flushed, or a foreign value on first
	// sight (ForeignStamp, no dot, epoch 0).
	LoadFound
	// LoadForeign: another program changed the key since it was last flushed.
	// Version holds its value (or a tombstone if it deleted the key); the stamp is
	// that of what was last flushed.
	LoadForeign
)

// LoadResult answers a LoadRequest.
type LoadResult struct {
	ID      LoadID
	Key     []byte
	Status  LoadStatus
	Version Version
}

// FlushRequest asks the database to keep a version unless it has a higher one. It is
// valid until the server's next Step or Tick: a store that takes longer keeps a Clone
// of the version.
type FlushRequest struct {
	Version *Version
	// Over, if not nil, is a foreign value (or foreign delete: a tombstone) of this
	// key that has been imported as a write since: to find it in the database is no
	// news, and it is overwritten.
	Over *Version
}

// FlushStatus is what a flush came to.
type FlushStatus uint8

// The outcomes of a flush.
const (
	// FlushFailed: not done, or not known to be done.
	FlushFailed FlushStatus = iota
	// FlushDone: the database holds this version.
	FlushDone
	// FlushSuperseded: the database holds a version with a higher stamp, given in
	// Found.
	FlushSuperseded
	// FlushForeign: another program changed the key; nothing was stored; Found
	// holds its value as in LoadForeign.
	FlushForeign
	// FlushFenced: a later epoch of the cluster owns the database.
	FlushFenced
)

// FlushResult answers a FlushRequest.
type FlushResult struct {
	Key    []byte
	Stamp  Stamp // of the version that was to be flushed
	Status FlushStatus
	Found  Version
}

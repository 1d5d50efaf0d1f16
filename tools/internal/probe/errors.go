package probe

import "errors"

// ErrNode: the node cannot be probed now. The text says why, and what would help. Test for it
// with errors.Is.
var ErrNode = errors.New("cannot be probed")
